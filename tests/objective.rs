//! Every choice that `[train.objective]` offers, in the real program: streams, memory and trainer agree on what a sample is.

#![allow(clippy::unwrap_used, reason = "test code")]

mod program;

use program::{PATTERNS, Place, Run};
use serde_json::Value;

/// Runs two steps with these lines in the section and gives the checkpoint's manifest.
fn manifest_after(objective: &str) -> Value {
    let place = Place::new();
    place.append(&format!("[train.objective]\n{objective}\n"));
    let ended = Run::start(&place.run([PATTERNS, "--max-steps=2"])).end();
    assert!(ended.status.success(), "{objective}: {ended:?}");
    let manifest = std::fs::read(place.checkpoints().join("latest/manifest.json")).unwrap();
    serde_json::from_slice(&manifest).unwrap()
}

#[test]
fn streams_give_the_motion_within_the_clip_where_that_is_the_target() {
    let future = manifest_after("motion_target = 'future'");
    let current = manifest_after("motion_target = 'current'");
    assert_eq!(future["model"]["sample"]["target_offset"], 1);
    // Four maps, of which the last is the clip's last frame.
    assert_eq!(current["model"]["sample"]["target_offset"], -3);
    assert!(current["metrics"]["motion_loss"].as_f64().unwrap() > 0.0);
}

#[test]
fn one_loss_alone_is_what_is_trained_on() {
    for (share, alone) in [("0.0", "context_loss"), ("1.0", "motion_loss")] {
        let metrics = &manifest_after(&format!("motion_share = {share}"))["metrics"];
        let loss = metrics["loss"].as_f64().unwrap();
        assert!(
            (loss - metrics[alone].as_f64().unwrap()).abs() < 1e-5,
            "{metrics}"
        );
    }
}

#[test]
fn the_papers_geometry_trains_too() {
    let manifest = manifest_after(
        "turn_flipped_motion = false\nscale_cropped_motion = false\nmask_unknown_motion = false",
    );
    assert_eq!(manifest["step"], 2);
}
