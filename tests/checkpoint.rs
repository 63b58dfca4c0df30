//! Snapshots on disk: whatever happens to the process, the disk or the bytes, what is loaded is what was written.

#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use comove::checkpoint::{
    CheckpointFolder, NamedTensor, Retention, Snapshot, list, load_for_resume, resolve, show, verify,
};
use comove::model::{NormKind, Preset};
use tch::Tensor;

/// A snapshot whose tensors all hold its step.
fn snapshot(step: u64) -> Snapshot {
    let tensor = |name: &str, count: i64| {
        let values = Tensor::full([count], step as f64, (tch::Kind::Float, tch::Device::Cpu));
        NamedTensor::copy_of(name, &values).unwrap()
    };
    Snapshot {
        step,
        created_unix: 1_700_000_000,
        model_config: Preset::Micro.model(NormKind::Batch),
        model: vec![tensor("a.weight", 300), tensor("b.bias", 7)],
        average: vec![tensor("v.weight", 30)],
        optimizer: vec![tensor("momentum.a.weight", 300)],
        statistics: Vec::new(),
        state: format!("{{\"step\": {step}}}"),
        config: "[train]\nseed = 1\n".into(),
        metrics: serde_json::json!({"loss": 0.1 + step as f64, "context_loss": null}),
        provenance: serde_json::json!({"camera": {"samples": 12, "first_pts_ns": 5}}),
        replay: None,
        save_samples: false,
        forgotten: Vec::new(),
    }
}

fn written(root: &Path, steps: &[u64]) -> CheckpointFolder {
    let folder = CheckpointFolder::open(root).unwrap();
    for &step in steps {
        folder.write(&snapshot(step)).unwrap();
    }
    folder
}

fn newest(newest: usize) -> Retention {
    Retention {
        newest,
        best: 0,
        with_replay: 1,
    }
}

/// The step of a snapshot whose every file says the same.
fn consistent_step(path: &Path) -> u64 {
    let loaded = load_for_resume(path).unwrap();
    let step = loaded.manifest.step;
    for tensors in [&loaded.model, &loaded.optimizer, loaded.average.as_ref().unwrap()] {
        for (name, tensor) in tensors {
            let (least, most) = (tensor.min().double_value(&[]), tensor.max().double_value(&[]));
            assert_eq!((least, most), (step as f64, step as f64), "{name}");
        }
    }
    assert_eq!(loaded.state, format!("{{\"step\": {step}}}"));
    step
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn hidden_names(root: &Path) -> Vec<String> {
    let names = files(root)
        .into_iter()
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
    names
        .filter(|name| name.starts_with('.') && name != ".lock")
        .collect()
}

#[test]
fn a_snapshot_comes_back_whole_and_latest_points_to_the_newest() {
    let root = tempfile::tempdir().unwrap();
    let folder = written(root.path(), &[5, 100]);
    assert_eq!(
        fs::read_link(root.path().join("latest")).unwrap(),
        Path::new("00000100")
    );
    assert_eq!(consistent_step(root.path()), 100);
    assert_eq!(consistent_step(&root.path().join("00000005")), 5);
    let manifest = verify(root.path()).unwrap();
    let expected = snapshot(100);
    assert_eq!(manifest.format_version, 3);
    assert_eq!(manifest.comove_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(manifest.created_unix, 1_700_000_000);
    assert_eq!(manifest.model, expected.model_config);
    assert_eq!(manifest.config, expected.config);
    assert_eq!(manifest.metrics, expected.metrics);
    assert_eq!(manifest.provenance, expected.provenance);
    let names: Vec<_> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "model.safetensors",
            "optimizer.safetensors",
            "average.safetensors",
            "statistics.safetensors",
            "state.json"
        ]
    );
    let steps: Vec<_> = list(root.path())
        .unwrap()
        .iter()
        .map(|one| (one.step, one.latest))
        .collect();
    assert_eq!(steps, [(5, false), (100, true)]);
    assert!(
        hidden_names(root.path()).is_empty(),
        "{:?}",
        hidden_names(root.path())
    );
    drop(folder);
}

#[test]
fn a_step_beyond_eight_digits_has_its_place_too() {
    let root = tempfile::tempdir().unwrap();
    written(root.path(), &[99_999_999, 123_456_789]);
    assert_eq!(resolve(root.path()).unwrap(), root.path().join("123456789"));
    assert_eq!(list(root.path()).unwrap().len(), 2);
}

#[test]
fn a_changed_byte_anywhere_is_refused_and_the_file_named() {
    let root = tempfile::tempdir().unwrap();
    written(root.path(), &[3]);
    let folder = root.path().join("00000003");
    let mut refused = 0;
    for path in files(&folder) {
        let content = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        for position in 0..content.len() {
            for flip in [0x01, 0x80] {
                let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
                file.write_all_at(&[content[position] ^ flip], position as u64)
                    .unwrap();
                let told = verify(&folder).map(drop).unwrap_err().to_string();
                assert!(told.contains(&name), "byte {position} of {name}: {told}");
                file.write_all_at(&content[position..=position], position as u64)
                    .unwrap();
                refused += 1;
            }
        }
    }
    let bytes: usize = files(&folder)
        .iter()
        .map(|path| fs::read(path).unwrap().len())
        .sum();
    assert_eq!(refused, 2 * bytes);
    assert_eq!(consistent_step(&folder), 3, "and as it was it loads");
}

#[test]
fn a_file_cut_short_grown_or_gone_is_refused_and_named() {
    let root = tempfile::tempdir().unwrap();
    written(root.path(), &[3]);
    let folder = root.path().join("00000003");
    for path in files(&folder) {
        let content = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        for cut in [0, 1, content.len() / 2, content.len() - 1] {
            fs::write(&path, &content[..cut]).unwrap();
            let told = verify(&folder).unwrap_err().to_string();
            assert!(told.contains(&name), "{name} cut to {cut}: {told}");
        }
        fs::write(&path, [content.as_slice(), b"x"].concat()).unwrap();
        assert!(verify(&folder).unwrap_err().to_string().contains(&name));
        fs::remove_file(&path).unwrap();
        let told = verify(&folder).unwrap_err().to_string();
        assert!(told.contains(&name), "without {name}: {told}");
        fs::write(&path, &content).unwrap();
    }
    assert_eq!(consistent_step(&folder), 3);
}

#[test]
fn a_manifest_of_a_later_format_says_so() {
    let root = tempfile::tempdir().unwrap();
    written(root.path(), &[3]);
    let path = root.path().join("00000003/manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("\"format_version\": 3", "\"format_version\": 9, \"news\": 1"),
    )
    .unwrap();
    let told = show(root.path()).unwrap_err().to_string();
    assert!(
        told.ends_with("has format version 9; this comove reads version 3"),
        "{told}"
    );
}

#[test]
fn old_snapshots_are_deleted_but_never_the_one_that_latest_points_to() {
    let root = tempfile::tempdir().unwrap();
    let folder = written(root.path(), &[10, 20, 30]);
    // A run that went on from an older snapshot: its newest one has not the highest step.
    folder.write(&snapshot(15)).unwrap();
    assert_eq!(folder.prune(newest(3)).unwrap(), [10]);
    assert_eq!(folder.prune(newest(2)).unwrap(), [20]);
    let left: Vec<_> = list(root.path())
        .unwrap()
        .iter()
        .map(|one| (one.step, one.latest))
        .collect();
    assert_eq!(left, [(15, true), (30, false)]);
    assert_eq!(consistent_step(root.path()), 15);
}

#[test]
fn the_same_step_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let folder = written(root.path(), &[4]);
    let mut again = snapshot(4);
    again.created_unix += 60;
    folder.write(&again).unwrap();
    assert_eq!(verify(root.path()).unwrap().created_unix, 1_700_000_060);
    assert!(hidden_names(root.path()).is_empty());
}

#[test]
fn what_a_killed_writer_left_is_ignored_and_cleared_away() {
    let root = tempfile::tempdir().unwrap();
    drop(written(root.path(), &[1, 2]));
    let half = root.path().join(".00000003.partial");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("model.safetensors"), "half").unwrap();
    fs::create_dir(root.path().join(".00000001.pruned")).unwrap();
    std::os::unix::fs::symlink("00000003", root.path().join(".latest.new")).unwrap();
    // Killed between taking a snapshot away and putting its replacement in its place: `latest` points to nothing.
    fs::rename(
        root.path().join("00000002"),
        root.path().join(".00000002.replaced"),
    )
    .unwrap();
    fs::write(root.path().join(".note"), "not comove's").unwrap();
    assert_eq!(
        consistent_step(root.path()),
        1,
        "a reader falls back to the newest that is there"
    );
    let folder = CheckpointFolder::open(root.path()).unwrap();
    assert_eq!(
        consistent_step(root.path()),
        2,
        "and a writer brings the replaced one back"
    );
    assert_eq!(hidden_names(root.path()), [".note"]);
    folder.write(&snapshot(3)).unwrap();
    assert_eq!(consistent_step(root.path()), 3);
}

#[test]
fn one_folder_has_one_writer() {
    let root = tempfile::tempdir().unwrap();
    let first = CheckpointFolder::open(root.path()).unwrap();
    let told = CheckpointFolder::open(root.path()).unwrap_err().to_string();
    assert!(
        told.ends_with("is in use by another comove; each needs a checkpoint folder of its own"),
        "{told}"
    );
    drop(first);
    CheckpointFolder::open(root.path()).unwrap();
}

#[test]
fn a_folder_without_snapshots_is_named() {
    let root = tempfile::tempdir().unwrap();
    for path in [root.path().to_owned(), root.path().join("gone")] {
        let told = verify(&path).unwrap_err().to_string();
        assert!(
            told.starts_with(path.to_str().unwrap()) && told.contains("holds none"),
            "{told}"
        );
    }
}

/// Runs one test of this program in a process of its own, by a shell that may set limits first.
fn in_a_process(limits: &str, test: &str, root: &Path) -> Command {
    let mut command = Command::new("sh");
    let program = std::env::current_exe().unwrap();
    let script = format!("{limits} exec \"$0\" --exact {test} --nocapture");
    command.args(["-c", &script, program.to_str().unwrap()]);
    command.env("COMOVE_TEST_FOLDER", root).stdout(Stdio::null());
    command
}

fn folder_of_this_process() -> Option<PathBuf> {
    std::env::var_os("COMOVE_TEST_FOLDER").map(PathBuf::from)
}

/// Not a test by itself: the process that `killed_at_any_moment_…` kills.
#[test]
fn child_writes_until_it_is_killed() {
    let Some(root) = folder_of_this_process() else {
        return;
    };
    let folder = CheckpointFolder::open(&root).unwrap();
    let first = list(&root).unwrap().last().map_or(1, |one| one.step);
    for step in first.. {
        // Each step twice: replacing is the delicate part.
        folder.write(&snapshot(step)).unwrap();
        folder.write(&snapshot(step)).unwrap();
        folder.prune(newest(3)).unwrap();
    }
}

#[test]
fn killed_at_any_moment_the_newest_complete_snapshot_loads() {
    let root = tempfile::tempdir().unwrap();
    let newest = || list(root.path()).unwrap().last().map_or(0, |one| one.step);
    let mut last = 0;
    for round in 0..25 {
        let mut child = in_a_process("", "child_writes_until_it_is_killed", root.path())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while newest() <= last {
            assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "the child writes nothing"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        // Another moment each time; a snapshot takes a few milliseconds.
        std::thread::sleep(Duration::from_micros(round * 373));
        child.kill().unwrap();
        child.wait().unwrap();
        let step = consistent_step(root.path());
        drop(CheckpointFolder::open(root.path()).unwrap());
        let recovered = consistent_step(root.path());
        assert!(
            recovered >= step && step >= last,
            "{last}, then {step}, then {recovered}"
        );
        assert!(
            hidden_names(root.path()).is_empty(),
            "{:?}",
            hidden_names(root.path())
        );
        last = recovered;
    }
    assert!(last >= 25, "only {last} snapshots were written");
}

/// Not a test by itself: the process that `a_write_that_fails_…` starts under a limit on the size of files.
#[test]
fn child_meets_a_full_disk() {
    let Some(root) = folder_of_this_process() else {
        return;
    };
    let folder = CheckpointFolder::open(&root).unwrap();
    folder.write(&snapshot(1)).unwrap();
    let mut large = snapshot(2);
    let values = Tensor::zeros([100_000], (tch::Kind::Float, tch::Device::Cpu));
    large
        .optimizer
        .push(NamedTensor::copy_of("large", &values).unwrap());
    let told = folder.write(&large).unwrap_err().to_string();
    assert!(
        told.starts_with("cannot write") && told.contains("optimizer.safetensors"),
        "{told}"
    );
    assert_eq!(consistent_step(&root), 1, "the snapshot from before loads");
    assert_eq!(list(&root).unwrap().len(), 1);
    assert!(hidden_names(&root).is_empty(), "{:?}", hidden_names(&root));
    folder.write(&snapshot(3)).unwrap();
    assert_eq!(consistent_step(&root), 3, "and the next one is written");
}

#[test]
fn a_write_that_fails_in_the_middle_leaves_the_snapshots_from_before() {
    let root = tempfile::tempdir().unwrap();
    // Files of at most 64 KiB; the write that goes beyond fails instead of killing the process.
    let limits = "trap '' XFSZ; ulimit -f 128;";
    let status = in_a_process(limits, "child_meets_a_full_disk", root.path())
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(consistent_step(root.path()), 3, "the child did its work");
}
