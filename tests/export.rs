//! `comove checkpoint export`: what it writes and what it refuses. That Python runs it is shown in `tests/reference.rs`.
#![allow(clippy::unwrap_used, reason = "test code")]

use comove::checkpoint::{
    CheckpointError, CheckpointFolder, EXPORTED_CARD, EXPORTED_SCRIPT, EXPORTED_TENSORS, export,
};
use comove::train::{DeviceChoice, Learner, TrainConfig};
use tch::{CModule, Device, Kind, Tensor};

#[test]
fn an_export_holds_the_program_the_tensors_and_where_they_come_from() {
    let root = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        device: DeviceChoice::Cpu,
        ..TrainConfig::default()
    };
    let learner = Learner::new(&config, Device::Cpu).unwrap();
    let mut snapshot = learner.snapshot(1_700_000_000).unwrap();
    snapshot.step = 40;
    snapshot.provenance = serde_json::json!({"gate": {"samples": 12}});
    let checkpoints = root.path().join("checkpoints");
    CheckpointFolder::open(&checkpoints)
        .unwrap()
        .write(&snapshot)
        .unwrap();
    let out = root.path().join("out");
    let exported = export(&checkpoints, &out).unwrap();
    assert_eq!(exported.step, 40);

    let clips = Tensor::randn([1, 3, 8, 64, 64], (Kind::Float, Device::Cpu));
    let program = CModule::load(out.join(EXPORTED_SCRIPT)).unwrap();
    let found = program.forward_ts(&[&clips]).unwrap();
    let expected = learner.model().features(&clips).unwrap();
    assert!((found - expected).abs().max().double_value(&[]) < 1e-4);

    let tensors = Tensor::read_safetensors(out.join(EXPORTED_TENSORS)).unwrap();
    assert_eq!(tensors.len(), learner.model().store().parameters().len());

    let card = std::fs::read_to_string(out.join(EXPORTED_CARD)).unwrap();
    for expected in [
        "step 40",
        "2023-11-14",
        "\"gate\"",
        "[B, 3, 8, 64, 64]",
        "0.43216",
        "torch.jit.load",
        "Licence",
    ] {
        assert!(card.contains(expected), "{expected}:\n{card}");
    }
    assert!(matches!(
        export(&checkpoints, &out),
        Err(CheckpointError::NotEmpty { .. })
    ));
    let nothing = export(&root.path().join("none"), &root.path().join("other"));
    assert!(matches!(nothing, Err(CheckpointError::NotFound { .. })));
}
