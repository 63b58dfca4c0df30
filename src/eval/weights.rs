use std::path::PathBuf;

use tch::Device;

use super::EvalError;
use super::report::WeightsReport;
use crate::checkpoint::{load_weights, resolve};
use crate::model::{Model, ModelConfig, NormKind, Preset};

/// Where the network's weights come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weights {
    /// A snapshot, or a folder of snapshots of which the newest is taken.
    Checkpoint(PathBuf),
    /// Untrained weights: what any figure has to be compared with.
    Random {
        /// `--preset`: the network's size.
        preset: Preset,
        /// `--seed`: which weights.
        seed: u64,
    },
}

impl Weights {
    /// Builds the network, and says what it is.
    pub(super) fn load(&self, device: Device) -> Result<(Model, WeightsReport), EvalError> {
        match self {
            Self::Checkpoint(path) => {
                let folder = resolve(path)?;
                let (model, manifest) = load_weights(&folder, device)?;
                let report = WeightsReport {
                    source: "checkpoint",
                    checkpoint: Some(folder),
                    step: manifest.step,
                    preset: preset_name(model.config()),
                    seed: None,
                    network: None,
                    baseline: None,
                };
                Ok((model, report))
            }
            Self::Random { preset, seed } => {
                let config = preset.model(NormKind::Batch);
                let report = WeightsReport {
                    source: "random",
                    checkpoint: None,
                    step: 0,
                    preset: preset.name().into(),
                    seed: Some(*seed),
                    network: None,
                    baseline: None,
                };
                Ok((Model::random(&config, *seed, device)?, report))
            }
        }
    }
}

/// The preset that a network was built from; `custom` where it is none.
fn preset_name(config: &ModelConfig) -> String {
    let is = |preset: &Preset| preset.model(config.norm) == *config;
    Preset::ALL
        .into_iter()
        .find(is)
        .map_or("custom", Preset::name)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_recognised_by_their_shape() {
        for preset in Preset::ALL {
            for norm in [NormKind::Batch, NormKind::Group] {
                let mut config = preset.model(norm);
                assert_eq!(preset_name(&config), preset.name());
                config.crop += 16;
                assert_eq!(preset_name(&config), "custom");
            }
        }
    }

    #[test]
    fn a_seed_chooses_the_random_weights() {
        let load = |seed| {
            let weights = Weights::Random {
                preset: Preset::Micro,
                seed,
            };
            let (model, report) = weights.load(Device::Cpu).unwrap();
            assert_eq!(
                (report.source, report.step, report.seed),
                ("random", 0, Some(seed))
            );
            model.store().trained().copy()
        };
        let first = load(1);
        assert!(first.equal(&load(1)));
        assert!(!first.equal(&load(2)));
    }
}
