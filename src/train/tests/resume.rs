use std::fs;
use std::path::Path;

use tch::Device;

use super::super::moving_patterns::MovingPatterns;
use super::super::{Learner, OptimizerKind, TrainConfig, TrainError};
use super::tiny;
use crate::checkpoint::{CheckpointFolder, Snapshot, load_for_resume, load_weights};
use crate::model::{NormKind, Preset};

fn learn(learner: &mut Learner, patterns: &mut MovingPatterns, steps: usize) {
    for _ in 0..steps {
        learner.learn(&patterns.batch(2)).unwrap();
    }
}

fn start(config: &TrainConfig) -> (Learner, MovingPatterns) {
    tch::set_num_threads(1);
    let learner = Learner::new(config, Device::Cpu).unwrap();
    (learner, MovingPatterns::new(Preset::Micro.sample_spec(), 3))
}

fn write(folder: &Path, learner: &Learner) -> Snapshot {
    let snapshot = learner.snapshot(1_700_000_000).unwrap();
    CheckpointFolder::open(folder).unwrap().write(&snapshot).unwrap();
    snapshot
}

fn resumed(config: &TrainConfig, folder: &Path) -> Result<Learner, TrainError> {
    Learner::resume(config, Device::Cpu, &load_for_resume(folder).unwrap())
}

/// Model, optimiser, random generator and counters, bit for bit.
fn assert_same(found: &Snapshot, expected: &Snapshot) {
    for (found, expected) in found.model.iter().zip(&expected.model) {
        assert!(found == expected, "{} differs", expected.name);
    }
    assert_eq!(found.average.len(), expected.average.len());
    for (found, expected) in found.average.iter().zip(&expected.average) {
        assert!(found == expected, "the average of {} differs", expected.name);
    }
    for (found, expected) in found.optimizer.iter().zip(&expected.optimizer) {
        assert!(found == expected, "{} differs", expected.name);
    }
    assert_eq!(found.state, expected.state);
    assert_eq!(found.step, expected.step);
}

#[test]
fn an_interrupted_run_equals_an_uninterrupted_one_bit_for_bit_twice() {
    for (optimizer, norm, dropout) in [
        (OptimizerKind::AdamW, NormKind::Batch, 0.0),
        (OptimizerKind::Sgd, NormKind::Batch, 0.1),
    ] {
        let config = TrainConfig {
            optimizer: Some(optimizer),
            norm,
            dropout,
            ..tiny()
        };
        let (mut whole, mut patterns) = start(&config);
        learn(&mut whole, &mut patterns, 3);
        let third = whole.snapshot(1_700_000_000).unwrap();
        learn(&mut whole, &mut patterns, 2);
        let fifth = whole.snapshot(1_700_000_000).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let (mut first, mut patterns) = start(&config);
        learn(&mut first, &mut patterns, 1);
        write(folder.path(), &first);
        drop(first);
        let mut second = resumed(&config, folder.path()).unwrap();
        assert_eq!((second.step(), second.samples()), (1, 2));
        learn(&mut second, &mut patterns, 2);
        // The second snapshot is of a run that was itself gone on with.
        assert_same(&write(folder.path(), &second), &third);
        drop(second);
        let mut last = resumed(&config, folder.path()).unwrap();
        learn(&mut last, &mut patterns, 2);
        assert_same(&last.snapshot(1_700_000_000).unwrap(), &fifth);
    }
}

#[test]
fn weights_loaded_for_evaluation_give_the_same_features() {
    let folder = tempfile::tempdir().unwrap();
    let without_average = TrainConfig {
        ema_decay: 0.0,
        ..tiny()
    };
    let (mut learner, mut patterns) = start(&without_average);
    learn(&mut learner, &mut patterns, 1);
    write(folder.path(), &learner);
    let (model, manifest) = load_weights(folder.path(), Device::Cpu).unwrap();
    assert_eq!(manifest.step, 1);
    let clips = tch::Tensor::ones([1, 3, 8, 64, 64], (tch::Kind::Float, Device::Cpu));
    let features = model.features(&clips).unwrap();
    assert_eq!(features, learner.model().features(&clips).unwrap());
    let untrained = Learner::new(&tiny(), Device::Cpu).unwrap();
    assert_ne!(features, untrained.model().features(&clips).unwrap());
}

#[test]
fn evaluation_uses_the_moving_average_and_the_network_where_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (mut learner, mut patterns) = start(&tiny());
    learn(&mut learner, &mut patterns, 3);
    let snapshot = write(folder.path(), &learner);
    assert!(!snapshot.average.is_empty());
    let (model, _) = load_weights(folder.path(), Device::Cpu).unwrap();
    let average = load_for_resume(folder.path()).unwrap().average.unwrap();
    let mut moved = 0;
    for parameter in model.store().parameters() {
        let live = learner.model().store().parameters().iter();
        let live = live.clone().find(|p| p.name == parameter.name).unwrap();
        match average.get(&parameter.name) {
            Some(expected) => {
                assert_eq!(parameter.tensor, *expected, "{}", parameter.name);
                moved += usize::from(parameter.tensor != live.tensor);
            }
            None => assert_eq!(parameter.tensor, live.tensor, "{}", parameter.name),
        }
    }
    assert!(
        moved > 10,
        "{moved} averages differ from the network after three steps"
    );
    // A file that lacks a tensor is refused by its name, when evaluating and when going on.
    let mut incomplete = snapshot;
    let missing = incomplete.average.pop().unwrap().name;
    let folder = tempfile::tempdir().unwrap();
    CheckpointFolder::open(folder.path())
        .unwrap()
        .write(&incomplete)
        .unwrap();
    let told = load_weights(folder.path(), Device::Cpu).unwrap_err().to_string();
    assert!(
        told.contains("average.safetensors") || told.contains(&missing),
        "{told}"
    );
    let told = resumed(&tiny(), folder.path()).unwrap_err().to_string();
    assert!(told.contains(&missing), "{told}");
}

#[test]
fn a_run_of_other_networks_or_another_optimiser_does_not_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (learner, _) = start(&tiny());
    write(folder.path(), &learner);
    let told = |config: TrainConfig| resumed(&config, folder.path()).unwrap_err().to_string();
    let other_norm = told(TrainConfig {
        norm: NormKind::Group,
        ..tiny()
    });
    assert!(
        other_norm.ends_with("norm was \"batch\", now \"group\""),
        "{other_norm}"
    );
    let other_optimizer = told(TrainConfig {
        optimizer: Some(OptimizerKind::Sgd),
        ..tiny()
    });
    assert!(
        other_optimizer.ends_with("the optimiser was AdamW, and train.optimizer is Sgd now"),
        "{other_optimizer}"
    );
}

#[test]
fn a_snapshot_with_other_tensors_than_the_networks_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let (learner, _) = start(&tiny());
    let told = |number: u64, change: &dyn Fn(&mut Snapshot)| {
        let mut snapshot = learner.snapshot(0).unwrap();
        change(&mut snapshot);
        let folder = root.path().join(number.to_string());
        CheckpointFolder::open(&folder).unwrap().write(&snapshot).unwrap();
        let weights = load_weights(&folder, Device::Cpu)
            .map(drop)
            .map_err(|error| error.to_string());
        let resumed = resumed(&tiny(), &folder)
            .map(drop)
            .map_err(|error| error.to_string());
        (weights, resumed)
    };
    let (weights, resumed) = told(1, &|snapshot| drop(snapshot.model.remove(0)));
    assert!(
        weights
            .unwrap_err()
            .ends_with("model.safetensors: tensor `v.stem.spatial.weight` is missing")
    );
    assert!(
        resumed
            .unwrap_err()
            .ends_with("tensor `v.stem.spatial.weight` is missing")
    );
    let (weights, _) = told(2, &|snapshot| snapshot.model[0].name.push_str(".old"));
    assert!(weights.is_err());
    let (weights, resumed) = told(3, &|snapshot| {
        let mut extra = snapshot.optimizer[0].clone();
        extra.name = "exp_avg.gone".into();
        snapshot.optimizer.push(extra);
    });
    assert_eq!(weights, Ok(()), "evaluation needs no optimiser");
    assert!(
        resumed
            .unwrap_err()
            .ends_with("tensor `exp_avg.gone` is not part of this network")
    );
    let (_, resumed) = told(4, &|snapshot| {
        snapshot.state = snapshot.state.replace("samples", "smaples")
    });
    let resumed = resumed.unwrap_err();
    assert!(
        resumed.contains("state.json") && resumed.contains("smaples"),
        "{resumed}"
    );
    fs::remove_dir_all(root.path()).unwrap();
}
