use tch::{Device, no_grad};

use super::super::moving_patterns::MovingPatterns;
use super::super::{DeviceChoice, Learner, OptimizerKind, PrecisionChoice, TrainConfig};
use super::tiny;
use crate::model::{NormKind, Preset};

fn trained(config: &TrainConfig, steps: usize) -> Learner {
    tch::set_num_threads(1);
    let mut learner = Learner::new(config, Device::Cpu).unwrap();
    let mut patterns = MovingPatterns::new(config.preset.sample_spec(), 3);
    for _ in 0..steps {
        learner.learn(&patterns.batch(config.batch_size())).unwrap();
    }
    learner
}

#[test]
fn micro_learns_both_tasks_within_200_steps() {
    let config = TrainConfig {
        warmup_steps: 20,
        ..TrainConfig::default()
    };
    let mut learner = Learner::new(&config, Device::Cpu).unwrap();
    let mut patterns = MovingPatterns::new(Preset::Micro.sample_spec(), 1);
    let mut reports = Vec::new();
    for _ in 0..5 {
        for _ in 0..40 {
            learner.learn(&patterns.batch(config.batch_size())).unwrap();
        }
        let figures = learner.take_figures();
        println!("{:4} {figures:.3?}", learner.step());
        reports.push(figures);
    }
    let (first, last) = (reports[0], reports[4]);
    assert!(last.context.loss < 0.9 * first.context.loss, "context loss");
    assert!(last.motion.loss < 0.7 * first.motion.loss, "motion loss");
    assert!(last.context.top1 > 1.5 * last.context.chance, "context top-1");
    assert!(last.motion.top1 > 8.0 * last.motion.chance, "motion top-1");
    assert!(last.effective_rank > 10.0, "collapsed");
    assert_eq!(learner.nonfinite_steps(), 0);
}

#[test]
fn the_same_seed_and_batches_give_the_same_parameters_bit_for_bit() {
    for (optimizer, norm, dropout) in [
        (OptimizerKind::AdamW, NormKind::Batch, 0.0),
        (OptimizerKind::Sgd, NormKind::Group, 0.2),
    ] {
        let config = TrainConfig {
            optimizer: Some(optimizer),
            norm,
            dropout,
            ..tiny()
        };
        let values = |config: &TrainConfig| trained(config, 3).model().store().trained().detach();
        let first = values(&config);
        assert_eq!(first, values(&config), "{optimizer:?} {norm:?}");
        let other = TrainConfig { seed: 2, ..config };
        assert_ne!(first, values(&other), "another seed must give other parameters");
    }
}

#[test]
fn a_step_that_is_not_finite_is_skipped_and_counted() {
    let mut learner = trained(&tiny(), 2);
    let store = learner.model().store();
    let weight = store
        .parameters()
        .iter()
        .find(|p| p.name == "v.stem.spatial.weight")
        .unwrap();
    let mut weight = weight.tensor.shallow_clone();
    let good = no_grad(|| weight.copy());
    let _ = no_grad(|| weight.get(0).fill_(f64::INFINITY));
    let values = |learner: &Learner| -> Vec<tch::Tensor> {
        let parameters = learner.model().store().parameters().iter();
        parameters.map(|p| no_grad(|| p.tensor.copy())).collect()
    };
    let before = values(&learner);
    let mut patterns = MovingPatterns::new(Preset::Micro.sample_spec(), 4);
    learner.learn(&patterns.batch(2)).unwrap();
    for (parameter, before) in learner.model().store().parameters().iter().zip(&before) {
        assert_eq!(
            parameter.tensor.detach(),
            *before,
            "{} has changed",
            parameter.name
        );
    }
    no_grad(|| weight.copy_(&good));
    learner.learn(&patterns.batch(2)).unwrap();
    let figures = learner.take_figures();
    assert_eq!((figures.nonfinite_steps, learner.nonfinite_steps()), (1, 1));
    assert!(figures.loss.is_finite());
}

#[test]
fn bfloat16_trains() {
    let config = TrainConfig {
        precision: PrecisionChoice::BFloat16,
        ..tiny()
    };
    let mut learner = trained(&config, 2);
    let figures = learner.take_figures();
    assert!(
        figures.loss.is_finite() && figures.nonfinite_steps == 0,
        "{figures:?}"
    );
}

#[test]
fn learning_rates_follow_preset_batch_and_warm_up() {
    let paper = TrainConfig {
        preset: Preset::Paper,
        ..TrainConfig::default()
    };
    assert_eq!(paper.learning_rate(), 0.032);
    let learner = trained(&tiny(), 1);
    let full = tiny().learning_rate();
    assert!(
        (learner.learning_rate() - full * 0.5).abs() < 1e-12,
        "step 1 of 4 warm-up steps"
    );
}

#[test]
fn values_that_cannot_be_are_refused_with_key_value_and_remedy() {
    let told = |config: TrainConfig| config.validate().unwrap_err().to_string();
    assert_eq!(
        told(TrainConfig {
            batch_size: Some(1),
            ..TrainConfig::default()
        }),
        "train.batch_size is 1; at least 2 is right: samples are compared with each other"
    );
    assert!(
        told(TrainConfig {
            learning_rate: Some(f64::NAN),
            ..TrainConfig::default()
        })
        .starts_with("train.learning_rate is NaN")
    );
    let mut shared = TrainConfig::default();
    shared.objective.motion_share = Some(1.5);
    assert_eq!(
        told(shared),
        "train.objective.motion_share is 1.5; a number from 0 to 1 is right"
    );
    for preset in Preset::ALL {
        TrainConfig {
            preset,
            ..TrainConfig::default()
        }
        .validate()
        .unwrap();
    }
}

#[test]
fn the_section_is_written_as_it_is_read_and_knows_its_keys() {
    let text = "preset = \"paper\"\ndevice = \"cuda:1\"\nprecision = \"bfloat16\"\nnorm = \"group\"\noptimizer = \"adamw\"\n\
                schedule = { kind = \"stable_decay\", total_steps = 100, decay_steps = 10 }\n";
    let config: TrainConfig = toml::from_str(text).unwrap();
    assert_eq!(
        (config.preset, config.device),
        (Preset::Paper, DeviceChoice::Cuda(1))
    );
    assert_eq!(
        (config.batch_size(), config.motion_share()),
        (64, 0.5),
        "the paper's"
    );
    let again: TrainConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
    assert_eq!(again, config);
    let told = toml::from_str::<TrainConfig>("learning_rat = 1.0")
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("learning_rat") && told.contains("learning_rate"),
        "{told}"
    );
    let told = toml::from_str::<TrainConfig>("device = \"gpu\"")
        .unwrap_err()
        .to_string();
    assert!(told.contains("\"cuda:N\" is right"), "{told}");
}
