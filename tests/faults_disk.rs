//! A disk that is full, and one that cannot be written to.

#![allow(clippy::unwrap_used, reason = "test code")]

mod faulty;
mod program;

use std::process::Command;

use faulty::row;
use program::{COMOVE, PATTERNS, Place, Run, comove};

/// Runs a script that has a file system of its own, `$DISK`: as root of its own world, where the system allows that.
fn with_disk(place: &Place, script: &str) -> Option<program::Ended> {
    let may = Command::new("unshare").args(["-Urm", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("left out: this system gives no file system of one's own (unshare -Urm)");
        return None;
    }
    std::fs::create_dir(place.path("disk")).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["-Urm", "sh", "-ec", script])
        .env("COMOVE", COMOVE)
        .env("DISK", place.path("disk"))
        .env("CHECKPOINTS", place.checkpoints())
        .env("CONFIG", place.path("config.toml"))
        .env("PATTERNS", PATTERNS);
    Some(Run::spawn(&mut command).end())
}

#[test]
fn a_disk_that_is_full_costs_only_what_came_after_the_last_checkpoint_and_room_is_enough_to_go_on() {
    let place = Place::with_checkpoint();
    // Room for the checkpoint that is there and half of another one.
    let script = r#"
        size=$(du -sk "$CHECKPOINTS" | cut -f1)
        mount -t tmpfs -o size=$((size * 3 / 2))k none "$DISK"
        cp -a "$CHECKPOINTS/." "$DISK"
        code=0
        "$COMOVE" run -c "$CONFIG" "$PATTERNS" --checkpoint-dir "$DISK" --resume --max-steps 1 || code=$?
        echo "code $code"
        "$COMOVE" checkpoint verify "$DISK"
        readlink "$DISK/latest"
        mount -o remount,size=$((size * 4))k "$DISK"
        "$COMOVE" run -c "$CONFIG" "$PATTERNS" --checkpoint-dir "$DISK" --resume --max-steps 1
        "$COMOVE" checkpoint verify "$DISK"
    "#;
    let Some(ended) = with_disk(&place, script) else {
        return;
    };
    assert!(ended.status.success(), "{ended:?}");
    for said in ["code 1\n", "step 2,", "00000002\n", "step 3,"] {
        assert!(ended.stdout.contains(said), "no {said:?} in {ended:?}");
    }
    assert!(
        ended.stderr.contains("No space left on device")
            && ended.stderr.contains("the checkpoint of that step stands"),
        "{}",
        ended.stderr
    );
    row(
        "disk full",
        None,
        "what was learned after the last checkpoint; it loads and the run goes on once there is room",
        "exit code 1, the message names the file and the checkpoint that stands; with room again the run goes on",
    );
}

#[test]
fn what_was_learned_is_saved_without_replay_where_only_that_has_no_room() {
    let place = Place::with_checkpoint();
    // Samples of replay take far more than the networks here.
    let script = r#"
        model=$(du -sk "$CHECKPOINTS/00000002" | cut -f1)
        mount -t tmpfs -o size=$((model + model / 2))k none "$DISK"
        sed 's/min_samples = 4/min_samples = 120/' "$CONFIG" > "$DISK.toml"
        "$COMOVE" run -c "$DISK.toml" "$PATTERNS" --checkpoint-dir "$DISK" --max-steps 1
        "$COMOVE" checkpoint verify "$DISK"
        ls "$DISK/replay"
    "#;
    let Some(ended) = with_disk(&place, script) else {
        return;
    };
    assert!(ended.status.success(), "{ended:?}");
    let told = ended.logged("a checkpoint was written without the samples of replay: a run that goes on from it fills replay anew");
    assert!(
        told.len() == 1
            && told[0]["reason"]
                .as_str()
                .unwrap()
                .contains("No space left on device"),
        "{ended:?}"
    );
    assert!(!ended.stdout.contains(".safetensors"), "no half packs: {ended:?}");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_refused_before_anything_starts() {
    let place = Place::with_checkpoint();
    let script = r#"
        mount -t tmpfs none "$DISK"
        cp -a "$CHECKPOINTS/." "$DISK"
        mount -o remount,ro "$DISK"
        "$COMOVE" checkpoint verify "$DISK"
        code=0
        "$COMOVE" run -c "$CONFIG" "$PATTERNS" --checkpoint-dir "$DISK" --resume || code=$?
        echo "code $code"
    "#;
    let Some(ended) = with_disk(&place, script) else {
        return;
    };
    assert!(ended.stdout.contains("code 1\n"), "{ended:?}");
    assert!(
        ended.stderr.contains("Read-only file system") && ended.stderr.contains("disk/.lock"),
        "{}",
        ended.stderr
    );
    assert!(ended.logged("learning begins").is_empty());
    let again = comove(&place.run([PATTERNS, "--resume", "--max-steps=1"]));
    assert!(again.status.success(), "{again:?}");
    row(
        "disk read-only: the run does not start",
        None,
        "nothing",
        "exit code 1 before anything starts, the message names the file",
    );
}

#[test]
fn a_disk_that_fills_under_replays_samples_costs_those_and_training_goes_on() {
    let place = Place::new();
    let script = r#"
        mount -t tmpfs -o size=1m none "$DISK"
        { sed 's/min_samples = 4/min_samples = 4\ncapacity = "2 MiB"/' "$CONFIG"
          printf '[replay.spill]\ndir = "%s"\ncapacity = "8 MiB"\nsegment_size = "4 MiB"\n' "$DISK"; } > "$CONFIG.spill.toml"
        "$COMOVE" run -c "$CONFIG.spill.toml" "$PATTERNS" --max-steps 12
        "$COMOVE" checkpoint verify "$CHECKPOINTS"
    "#;
    let Some(ended) = with_disk(&place, script) else {
        return;
    };
    assert!(ended.status.success(), "{ended:?}");
    let told =
        ended.logged("samples of replay cannot be written to disk: training goes on with those in memory");
    assert!(
        told.len() == 1
            && told[0]["error"]
                .as_str()
                .unwrap()
                .contains("No space left on device"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("step 12,"), "{ended:?}");
    row(
        "disk full under replay's samples on disk",
        None,
        "samples that memory has no room for, counted",
        "training goes on with the samples in memory and those already on disk; another write is tried every 30 s",
    );
}
