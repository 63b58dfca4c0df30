use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// How a parameter starts. Values are drawn on the host from a seeded generator, so that a seed gives the same network on
/// every machine and device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All the same.
    Constant(f32),
    /// Normal around 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Filters over time in consecutive runs of `taps` values: each normal around 0, those of the first half of the values with
    /// a sum of 0 and the same spread, so that they answer to change only.
    HalfDifferences {
        /// Standard deviation.
        std: f64,
        /// Frames that a filter spans, 2 or more.
        taps: usize,
    },
    /// Uniform between −bound and bound.
    Uniform {
        /// The bound.
        bound: f64,
    },
}

impl Init {
    /// He et al. 2015 for a layer that a ReLU follows, by fan-out: torchvision's choice for convolutions.
    pub fn kaiming_fan_out(out_channels: i64, kernel_volume: i64) -> Self {
        let fan_out = (out_channels * kernel_volume) as f64;
        Self::Normal {
            std: (2.0 / fan_out).sqrt(),
        }
    }

    /// PyTorch's default for the weight and the bias of a linear layer.
    pub fn linear(in_features: i64) -> Self {
        Self::Uniform {
            bound: 1.0 / (in_features as f64).sqrt(),
        }
    }

    /// Glorot and Bengio 2010, uniform: PyTorch's choice for attention projections.
    pub fn xavier(in_features: i64, out_features: i64) -> Self {
        Self::Uniform {
            bound: (6.0 / (in_features + out_features) as f64).sqrt(),
        }
    }

    pub(super) fn draw(self, count: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
        match self {
            Self::Constant(value) => vec![value; count],
            Self::Uniform { bound } => (0..count)
                .map(|_| rng.random_range(-bound..=bound) as f32)
                .collect(),
            Self::HalfDifferences { std, taps } => {
                let mut values = Self::Normal { std }.draw(count, rng);
                // What taking the mean away takes of the spread.
                let spread = (taps as f32 / (taps as f32 - 1.0)).sqrt();
                let half = count / taps / 2 * taps;
                for filter in values[..half].chunks_mut(taps) {
                    let mean = filter.iter().sum::<f32>() / taps as f32;
                    filter.iter_mut().for_each(|tap| *tap = (*tap - mean) * spread);
                }
                values
            }
            Self::Normal { std } => {
                let mut values = Vec::with_capacity(count + 1);
                while values.len() < count {
                    let [first, second] = gaussian_pair(rng);
                    values.push((std * first) as f32);
                    values.push((std * second) as f32);
                }
                values.truncate(count);
                values
            }
        }
    }
}

/// Two independent standard normal values (Box and Muller 1958).
fn gaussian_pair(rng: &mut ChaCha8Rng) -> [f64; 2] {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * rng.random::<f64>()).sin_cos();
    [radius * cos, radius * sin]
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn normal_values_have_the_spread_asked_for() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let values = Init::Normal { std: 0.5 }.draw(40_001, &mut rng);
        assert_eq!(values.len(), 40_001);
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / 40_001.0;
        let variance = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / 40_001.0;
        assert!(mean.abs() < 0.01, "mean {mean}");
        assert!((variance.sqrt() - 0.5).abs() < 0.01, "variance {variance}");
    }

    #[test]
    fn the_first_half_of_filters_over_time_answers_to_change_only() {
        let count = 2 * 3 * 5000;
        let init = Init::HalfDifferences { std: 0.5, taps: 3 };
        let values = init.draw(count, &mut ChaCha8Rng::seed_from_u64(1));
        let plain = Init::Normal { std: 0.5 }.draw(count, &mut ChaCha8Rng::seed_from_u64(1));
        let (differences, rest) = values.split_at(count / 2);
        assert!(
            differences
                .chunks(3)
                .all(|filter| filter.iter().sum::<f32>().abs() < 1e-6)
        );
        assert_eq!(rest, &plain[count / 2..]);
        let variance = differences.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / (count / 2) as f64;
        assert!((variance.sqrt() - 0.5).abs() < 0.01, "variance {variance}");
    }

    #[test]
    fn a_seed_gives_the_same_values_again() {
        let draw = |seed| Init::linear(9).draw(5, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        assert!(draw(3).iter().all(|v| v.abs() <= 1.0 / 3.0));
    }
}
