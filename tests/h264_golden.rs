//! The golden set (conformance suites, real files, made streams): every trusted line equal in every column.
//!
//! The set is not part of the repository: it is looked for where COMOVE_SHARED says, else in `../shared`. Without
//! it, the test is skipped, but fails where the environment says CI. COMOVE_GOLDEN picks streams by a part of their
//! name. COMOVE_CONFORMANCE names a file to write the table of docs/h264-conformance.md to.
//!
//! Streams in containers are read from their elementary streams if COMOVE_ELEMENTARY names a directory with
//! NAME.264 files (scripts/h264-conformance makes them).

mod golden;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Stream {
    name: String,
    path: PathBuf,
    kind: String,
    features: String,
}

fn shared() -> PathBuf {
    match std::env::var_os("COMOVE_SHARED") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
    }
}

/// The set's streams that are byte streams.
fn streams(set: &Path, features: &str) -> Vec<Stream> {
    let mut lines = features.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let header = lines.next().expect("FEATURES.tsv has a header line");
    let column = |name: &str| {
        header
            .iter()
            .position(|&c| c == name)
            .expect("FEATURES.tsv has the column")
    };
    let described = [
        "profile_idc",
        "entropy",
        "slice_types",
        "direct",
        "width",
        "height",
    ]
    .map(column);
    let (name, source, kind) = (column("name"), column("source"), column("kind"));
    let elementary = std::env::var_os("COMOVE_ELEMENTARY").map(PathBuf::from);
    let wanted = std::env::var("COMOVE_GOLDEN").unwrap_or_default();
    lines
        .filter(|line| line[name].contains(&wanted))
        .filter_map(|line| {
            let container = line[source].starts_with("..");
            let path = match (&elementary, container) {
                (_, false) => set.join(line[source]),
                (Some(directory), true) => directory.join(format!("{}.264", line[name])),
                (None, true) => return None,
            };
            let [profile, entropy, types, direct, width, height] = described.map(|c| line[c]);
            let features = format!("{profile} | {entropy} | {width}x{height} | {types} | {direct}");
            Some(Stream {
                name: line[name].to_owned(),
                path,
                kind: line[kind].to_owned(),
                features,
            })
        })
        .collect()
}

#[test]
fn every_trusted_line_is_exact() {
    let set = shared().join("h264");
    let Ok(features) = std::fs::read_to_string(set.join("FEATURES.tsv")) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "the golden set is not at {}",
            set.display()
        );
        eprintln!("skipped: the golden set is not at {}", set.display());
        return;
    };
    let streams = streams(&set, &features);
    assert!(!streams.is_empty(), "no stream in {}", set.display());
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut results: Vec<(usize, golden::Comparison)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| {
                    let mut done = Vec::new();
                    while let Some(stream) = streams.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let bytes = std::fs::read(&stream.path).expect("a stream of the set can be read");
                        let golden = set.join(format!("golden/{}.motion.tsv", stream.name));
                        let lines = std::fs::read_to_string(golden).expect("its golden lines too");
                        let place = streams.iter().position(|s| s.name == stream.name);
                        done.push((place.expect("it is one of them"), golden::compare(&bytes, &lines)));
                    }
                    done
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|t| t.join().expect("no panic while decoding"))
            .collect()
    });
    results.sort_by_key(|r| r.0);
    if let Some(path) = std::env::var_os("COMOVE_CONFORMANCE") {
        std::fs::write(path, table(&streams, &results)).expect("the table can be written");
    }
    let pictures: usize = results.iter().map(|r| r.1.exact).sum();
    println!("{} streams, {pictures} pictures exact", results.len());
    let mut failures = String::new();
    for (place, comparison) in results.iter().filter(|r| !r.1.differences.is_empty()) {
        let shown = comparison.differences.len().min(3);
        for difference in &comparison.differences[..shown] {
            writeln!(failures, "{}: {difference}", streams[*place].name).expect("a string takes it");
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

fn table(streams: &[Stream], results: &[(usize, golden::Comparison)]) -> String {
    let exact: usize = results.iter().map(|r| r.1.exact).sum();
    let whole = results.iter().filter(|r| r.1.differences.is_empty()).count();
    let mut text = String::from("# H.264 motion: conformance\n\n");
    text += "Written by `scripts/h264-conformance`. A picture is exact if every column of its golden line is equal:\n";
    text += "order counts, slice types, counts of macroblocks and the digests of all vectors, references and flags.\n";
    text +=
        "Untrusted pictures are those whose references or macroblocks are missing from the stream itself.\n";
    text += "How motion of fields maps to frames: [h264-peers.md](h264-peers.md#fields).\n\n";
    let _ = writeln!(
        text,
        "**{whole} of {} streams, {exact} pictures exact.**\n",
        results.len()
    );
    text +=
        "| stream | from | profile | entropy | size | slices | direct | exact | untrusted | different |\n";
    text += "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for (place, r) in results {
        let Stream {
            name, kind, features, ..
        } = &streams[*place];
        let (exact, untrusted, different) = (r.exact, r.untrusted, r.differences.len());
        let _ = writeln!(
            text,
            "| {name} | {kind} | {features} | {exact} | {untrusted} | {different} |"
        );
    }
    text
}
