//! comove's networks and losses against an independent PyTorch implementation (`tests/reference/`): the same weights and
//! inputs must give the same outputs, gradients and running statistics, to 1e-4 relative.
//!
//! Needs a Python with torch, which `scripts/test-reference` installs: `COMOVE_REFERENCE_PYTHON`, or else
//! `reference/bin/python` in comove's cache. Where there is none the tests say so and pass, unless
//! `COMOVE_REQUIRE_REFERENCE` is set.

#[path = "reference/dump.rs"]
mod dump;
#[path = "reference/dump_augmentation.rs"]
mod dump_augmentation;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use comove::checkpoint::{CheckpointFolder, export};
use comove::model::{NormKind, Preset};
use comove::train::{DeviceChoice, Learner, TrainConfig};
use tch::{Device, Kind, Tensor};

/// One at a time: each uses several gigabytes and every core.
static TURN: Mutex<()> = Mutex::new(());

fn python() -> Option<PathBuf> {
    if let Some(python) = std::env::var_os("COMOVE_REFERENCE_PYTHON") {
        return Some(python.into());
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("COMOVE_CACHE").map(PathBuf::from).or_else(|| {
        let user = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(home);
        user.map(|cache| cache.join("comove"))
    })?;
    let python = cache.join("reference/bin/python");
    python.exists().then_some(python)
}

/// Has `write` write a folder and the script look at it.
fn compare(script: &str, write: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let Some(python) = python() else {
        anyhow::ensure!(
            std::env::var_os("COMOVE_REQUIRE_REFERENCE").is_none(),
            "no Python with torch; scripts/test-reference installs one"
        );
        println!("left out: no Python with torch; scripts/test-reference installs one");
        return Ok(());
    };
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir()?;
    write(folder.path())?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference")
        .join(script);
    let output = Command::new(&python).arg(script).arg(folder.path()).output()?;
    println!("{}", String::from_utf8_lossy(&output.stdout));
    anyhow::ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn compare_model(preset: Preset, norm: NormKind, segments: &[i64]) -> anyhow::Result<()> {
    compare("compare.py", |folder| {
        dump::write_case(folder, &preset.model(norm), segments, 20210420)
    })
}

#[test]
fn micro_equals_the_reference() -> anyhow::Result<()> {
    compare_model(Preset::Micro, NormKind::Batch, &[5, 9, 9, 2, 7, 5])
}

#[test]
fn micro_with_group_norms_equals_the_reference() -> anyhow::Result<()> {
    compare_model(Preset::Micro, NormKind::Group, &[5, 9, 9, 2, 7, 5])
}

#[test]
#[ignore = "takes minutes and 5 GB of memory; scripts/test-reference runs it"]
fn paper_equals_the_reference() -> anyhow::Result<()> {
    compare_model(Preset::Paper, NormKind::Batch, &[5, 9, 9])
}

#[test]
fn augmentation_equals_the_reference() -> anyhow::Result<()> {
    compare("augmentation.py", |folder| {
        dump_augmentation::write_augmentation(folder, &Preset::Micro.model(NormKind::Batch), 20210420)
    })
}

/// A snapshot of untrained networks, exported, with clips and what comove's own network makes of them.
fn write_export(folder: &Path, norm: NormKind) -> anyhow::Result<()> {
    let config = TrainConfig {
        norm,
        device: DeviceChoice::Cpu,
        ..TrainConfig::default()
    };
    let learner = Learner::new(&config, Device::Cpu)?;
    let checkpoints = folder.join("checkpoints");
    CheckpointFolder::open(&checkpoints)?.write(&learner.snapshot(1_700_000_000)?)?;
    export(&checkpoints, &folder.join("export"))?;
    let side = i64::from(learner.model().config().crop);
    let frames = i64::from(learner.model().config().sample.clip_frames);
    let clips = Tensor::randn([3, 3, frames, side, side], (Kind::Float, Device::Cpu));
    let features = learner.model().features(&clips)?;
    Tensor::write_safetensors(
        &[("clips", clips), ("features", features)],
        folder.join("expected.safetensors"),
    )?;
    Ok(())
}

#[test]
fn an_exported_micro_network_runs_in_python() -> anyhow::Result<()> {
    compare("export.py", |folder| write_export(folder, NormKind::Batch))
}

#[test]
fn an_exported_micro_network_with_group_norms_runs_in_python() -> anyhow::Result<()> {
    compare("export.py", |folder| write_export(folder, NormKind::Group))
}
