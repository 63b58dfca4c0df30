//! A run that was killed and resumed is, bit for bit, the run that was not: with the whole program, on video files.

#![allow(clippy::unwrap_used, reason = "test code")]

mod media;
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use program::{PATTERNS, Place, Run, comove, refused};
use serde_json::Value;

/// `files` of 100 frames each, all moving in another way.
fn videos(folder: &Path, files: u32, seed: u32) {
    fs::create_dir_all(folder).unwrap();
    for number in 0..files {
        let pattern = ["ball", "smpte", "circular", "pinwheel"][((number + seed) % 4) as usize];
        let (speed, b_frames) = (1 + (number + seed) % 5, (number + seed) % 3);
        let launch = format!(
            "videotestsrc num-buffers=100 pattern={pattern} horizontal-speed={speed} motion=wavy foreground-color={} \
             ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 \
             ! x264enc bframes={b_frames} key-int-max=25 threads=1 ! h264parse ! mp4mux ! filesink name=out",
            0xff40_4040u32 + 7919 * (number + seed)
        );
        media::render(&launch, &folder.join(format!("{number}.mp4")));
    }
}

/// Two folders, one of them shuffled and read for ever, a file, and patterns made on the spot.
fn place(run: &str, videos: &Path) -> Place {
    let place = Place::new();
    let config = fs::read_to_string(place.path("config.toml")).unwrap();
    let config = config
        .replace("[decode]\nthreads = 1", "[decode]\nthreads = 2")
        .replace(
            "[replay]\nmin_samples = 4\nsamples_per_insert = 1.0\nfinal_samples_per_insert = 1.0",
            "[replay]\nmin_samples = 6\nsamples_per_insert = 1.5\nfinal_samples_per_insert = 1.5\ncapacity = \"3 MiB\"",
        );
    // A snapshot in the middle of what a report will be about.
    let config = config.replace("report_every = 1", "report_every = 2");
    let videos = videos.display();
    let more = format!(
        "[run]\n{run}\n[checkpoint]\nevery_steps = 3\nkeep = 9\nkeep_replay = 9\n\
         [[stream]]\nname = \"shuffled\"\nfolder = \"{videos}/a\"\nrepeat = \"endless\"\nshuffle_seed = 3\n\
         [[stream]]\nname = \"sorted\"\nfolder = \"{videos}/b\"\n\
         [[stream]]\nname = \"file\"\npath = \"{videos}/b/1.mp4\"\n\
         [[stream]]\nname = \"made\"\nsynthetic = {{ width = 160, height = 120, scene_frames = 60, frames = 900, seed = 5 }}\n"
    );
    fs::write(place.path("config.toml"), format!("{config}{more}")).unwrap();
    place
}

fn read(path: PathBuf) -> Vec<u8> {
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&read(path)).unwrap()
}

/// The last report, but for how long everything took.
fn report(snapshot: &Path) -> Vec<Value> {
    let manifest = json(snapshot.join("manifest.json"));
    let figures = [
        "step",
        "samples",
        "steps",
        "loss",
        "context_top1",
        "prequential_samples",
        "prequential_motion",
    ];
    let more = [
        "effective_rank",
        "embedding_std",
        "grad_norm",
        "learning_rate",
        "nonfinite_steps",
    ];
    let told = |key: &&str| manifest["metrics"][key].clone();
    figures.iter().chain(&more).map(told).collect()
}

/// What replay held, but for when it arrived and where on disk it lies.
fn samples(snapshot: &Path) -> Value {
    let mut index = json(snapshot.join("samples.json"));
    for sample in index["samples"].as_array_mut().unwrap() {
        let sample = sample.as_object_mut().unwrap();
        sample.remove("arrival_unix_ns").unwrap();
        let place = sample.remove("at").unwrap();
        let digest = place.get("sha256").or_else(|| place.get("crc32"));
        sample.insert("digest".to_owned(), digest.unwrap().clone());
    }
    index
}

/// Replay's figures, but for how far a scout has looked ahead of them.
fn figures(snapshot: &Path) -> Value {
    let mut state = json(snapshot.join("replay.json"));
    for (_, cursor) in state["streams"].as_object_mut().unwrap() {
        let cursor = cursor.as_object_mut().unwrap();
        cursor.remove("point").unwrap();
        cursor.remove("over").unwrap();
    }
    state
}

/// What each stream gave, but for when.
fn learned_from(snapshot: &Path) -> Vec<(String, Value, Value)> {
    let manifest = json(snapshot.join("manifest.json"));
    let streams = manifest["provenance"].as_object().unwrap();
    let told = |(name, stream): (&String, &Value)| {
        (name.clone(), stream["samples"].clone(), stream["pts_ns"].clone())
    };
    streams.iter().map(told).collect()
}

fn assert_same(found: &Path, expected: &Path) {
    for file in [
        "model.safetensors",
        "optimizer.safetensors",
        "statistics.safetensors",
        "state.json",
    ] {
        assert!(
            read(found.join(file)) == read(expected.join(file)),
            "{file} of {} differs",
            found.display()
        );
    }
    assert_eq!(report(found), report(expected));
    assert_eq!(figures(found), figures(expected));
    assert_eq!(samples(found), samples(expected));
    assert_eq!(learned_from(found), learned_from(expected));
}

fn verify(checkpoints: &Path) {
    let ended = comove(&["checkpoint".as_ref(), "verify".as_ref(), checkpoints.as_os_str()]);
    assert!(ended.status.success(), "{ended:?}");
}

/// Waits until the snapshot is there, then kills the run at once.
fn kill_after(mut run: Run, snapshot: &Path) {
    run.wait_for("the snapshot", |_| {
        snapshot.join("manifest.json").is_file().then_some(())
    });
    run.signal("KILL");
    assert!(!run.end().status.success());
}

#[test]
fn a_run_killed_twice_equals_one_that_was_not_bit_for_bit() {
    let whole = killed_twice("deterministic = true");
    assert_eq!(on_disk(&whole), 0);
}

#[test]
fn so_does_one_with_a_part_of_its_replay_on_disk() {
    let whole =
        killed_twice("deterministic = true\n[replay.spill]\ncapacity = \"3 MiB\"\nsegment_size = \"1 MiB\"");
    assert!(on_disk(&whole) > 2, "{}", on_disk(&whole));
}

#[test]
fn a_run_killed_before_latest_named_its_newest_snapshot_goes_on_from_that_one_in_all_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    videos(&folder.path().join("a"), 4, 1);
    videos(&folder.path().join("b"), 3, 2);
    let [whole, killed] = ["9", "6"].map(|steps| {
        let place = place("deterministic = true", folder.path());
        let ended = comove(&place.run(["--max-steps", steps]));
        assert!(ended.status.success(), "{ended:?}");
        place
    });
    let latest = killed.checkpoints().join("latest");
    fs::remove_file(&latest).unwrap();
    std::os::unix::fs::symlink("00000003", &latest).unwrap();
    let ended = comove(&killed.run(["--resume", "--max-steps=3"]));
    assert!(ended.status.success(), "{ended:?}");
    let ninth = |place: &Place| place.checkpoints().join("00000009");
    assert_same(&ninth(&killed), &ninth(&whole));
}

/// Samples of the last snapshot that replay had on disk.
fn on_disk(place: &Place) -> usize {
    let index = json(place.checkpoints().join("latest/samples.json"));
    let samples = index["samples"].as_array().unwrap();
    samples
        .iter()
        .filter(|sample| sample["at"]["slot"].is_u64())
        .count()
}

fn killed_twice(run: &str) -> Place {
    let folder = tempfile::tempdir().unwrap();
    videos(&folder.path().join("a"), 4, 1);
    videos(&folder.path().join("b"), 3, 2);
    let whole = place(run, folder.path());
    let ended = comove(&whole.run(["--max-steps=12"]));
    assert!(ended.status.success(), "{ended:?}");

    let killed = place(run, folder.path());
    let snapshot = |place: &Place, step: u32| place.checkpoints().join(format!("{step:08}"));
    kill_after(Run::start(&killed.run(["--max-steps=12"])), &snapshot(&killed, 3));
    // How far the run had come after the snapshot does not matter.
    kill_after(
        Run::start(&killed.run(["--resume", "--max-steps=9"])),
        &snapshot(&killed, 6),
    );
    verify(&killed.checkpoints());
    let latest = fs::read_link(killed.checkpoints().join("latest")).unwrap();
    let done: u32 = latest.to_str().unwrap().parse().unwrap();
    let left = format!("--max-steps={}", 12 - done.min(11));
    if done < 12 {
        let ended = comove(&killed.run(["--resume", &left]));
        assert!(ended.status.success(), "{ended:?}");
    }
    for step in [3, 6, 9, 12] {
        assert_same(&snapshot(&killed, step), &snapshot(&whole, step));
    }
    // The samples were taken in turn, and something was evicted.
    let figures = figures(&snapshot(&whole, 12));
    assert!(figures["evicted"].as_u64() > Some(0), "{figures}");
    for stream in ["shuffled", "sorted", "file", "made"] {
        assert!(
            figures["streams"][stream]["settled"].as_u64() > Some(1),
            "{figures}"
        );
    }
    verify(&whole.checkpoints());
    whole
}

#[test]
fn the_last_phase_after_all_sources_is_resumed_too_and_a_run_that_came_to_its_end_begins_its_files_anew() {
    let folder = tempfile::tempdir().unwrap();
    videos(&folder.path().join("b"), 3, 2);
    let once = |run: &str| {
        let place = place(run, folder.path());
        let config = fs::read_to_string(place.path("config.toml")).unwrap();
        let begin = config.find("[[stream]]\nname = \"shuffled\"").unwrap();
        let end = config.find("[[stream]]\nname = \"sorted\"").unwrap();
        let made = config.find("[[stream]]\nname = \"made\"").unwrap();
        let config = format!("{}{}", &config[..begin], &config[end..made])
            .replace("final_samples_per_insert = 1.5", "final_samples_per_insert = 4.0");
        fs::write(place.path("config.toml"), config).unwrap();
        place
    };
    let whole = once("deterministic = true");
    let ended = comove(&whole.run([""; 0]));
    assert!(ended.status.success(), "{ended:?}");
    let last = |place: &Place| {
        place
            .checkpoints()
            .join(fs::read_link(place.checkpoints().join("latest")).unwrap())
    };
    let killed = once("deterministic = true");
    kill_after(
        Run::start(&killed.run([""; 0])),
        &killed.checkpoints().join("00000003"),
    );
    let ended = comove(&killed.run(["--resume"]));
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(last(&killed).file_name(), last(&whole).file_name());
    assert_same(&last(&killed), &last(&whole));
    assert_eq!(json(last(&whole).join("replay.json"))["finished"], true);

    let offered = || {
        let replay = json(last(&whole).join("replay.json"));
        ["inserted", "not_kept"]
            .map(|count| replay[count].as_u64().unwrap())
            .iter()
            .sum::<u64>()
    };
    let before = offered();
    let ended = comove(&whole.run(["--resume"]));
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(offered(), 2 * before, "every file gave its samples once more");
}

#[test]
fn files_in_no_fixed_order_go_on_where_they_were_without_losing_or_repeating_a_sample() {
    let folder = tempfile::tempdir().unwrap();
    videos(&folder.path().join("b"), 6, 2);
    let place = Place::new();
    let mut config = fs::read_to_string(place.path("config.toml")).unwrap();
    config.push_str("[checkpoint]\nevery_steps = 1\n[[stream]]\nname = \"sorted\"\nfolder = \"");
    config.push_str(&format!("{}/b\"\n", folder.path().display()));
    fs::write(place.path("config.toml"), config).unwrap();
    let snapshot = place.checkpoints().join("00000001");
    kill_after(Run::start(&place.run([""; 0])), &snapshot);
    let ended = comove(&place.run(["--resume"]));
    assert!(ended.status.success(), "{ended:?}");
    let latest = place.checkpoints().join("latest");
    let mut seen: Vec<_> = samples(&latest)["samples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sample| (sample["segment"].as_u64().unwrap(), sample["pts_ns"].to_string()))
        .collect();
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all, "no window twice");
    let segments: std::collections::BTreeSet<_> = seen.iter().map(|(segment, _)| *segment).collect();
    assert_eq!(segments, (0..6).collect(), "every file gave something");
    let whole = Place::new();
    fs::copy(place.path("config.toml"), whole.path("config.toml")).unwrap();
    let ended = comove(&whole.run([""; 0]));
    assert!(ended.status.success(), "{ended:?}");
    let inserted = |place: &Place| json(place.checkpoints().join("latest/replay.json"))["inserted"].clone();
    assert_eq!(inserted(&place), inserted(&whole));
}

#[test]
fn a_live_stream_goes_on_with_the_replay_that_it_had() {
    let place = Place::new();
    let live = "synthetic:width=160&height=120&live=true&frame_rate=100&scene_frames=100";
    let mut first = Run::start(&place.run([live]));
    first.wait_for_message("trained");
    first.signal("USR1");
    let written = first.wait_for_message("checkpoint written");
    first.signal("KILL");
    first.end();
    let before = samples(Path::new(written["path"].as_str().unwrap()));
    let before = before["samples"].as_array().unwrap();
    assert!(before.len() >= 4, "{before:?}");
    let ended = comove(&place.run([live, "--resume", "--max-steps=3"]));
    assert!(ended.status.success(), "{ended:?}");
    let after = samples(&place.checkpoints().join("latest"));
    let after = after["samples"].as_array().unwrap();
    assert_eq!(
        &after[..before.len()],
        &before[..],
        "the samples from before, as they were"
    );
    let segment = |sample: &Value| sample["segment"].as_u64().unwrap();
    let newest_before = before.iter().map(segment).max().unwrap();
    assert!(after.len() > before.len());
    for sample in &after[before.len()..] {
        assert!(
            segment(sample) > newest_before,
            "segments get numbers of their own: {sample}"
        );
    }
}

#[test]
fn a_fixed_order_is_refused_where_nothing_gives_samples_again() {
    let place = Place::new();
    let config = fs::read_to_string(place.path("config.toml")).unwrap();
    fs::write(
        place.path("config.toml"),
        format!("{config}[run]\ndeterministic = true\n"),
    )
    .unwrap();
    for source in ["rtsp://127.0.0.1:1/live", "synthetic:live=true"] {
        refused(
            &place.run([source]),
            2,
            &["run.deterministic", "is live or remote"],
        );
    }
    // A checkpoint without its samples is not gone on from as if it had them.
    let ended = comove(&place.run([PATTERNS, "--max-steps=1"]));
    assert!(ended.status.success(), "{ended:?}");
    fs::remove_file(place.checkpoints().join("latest/samples.json")).unwrap();
    refused(
        &place.run([PATTERNS, "--resume", "--max-steps=1"]),
        1,
        &["the checkpoint comes without the samples of replay"],
    );
}
