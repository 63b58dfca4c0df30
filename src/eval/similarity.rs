/// Features of many videos, each of unit length, so that an inner product is a cosine. Shape `[N, C]`.
#[derive(Clone, Debug, Default)]
pub struct UnitFeatures {
    channels: usize,
    rows: Vec<f32>,
}

/// A feature that no distance can be taken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFeature {
    /// The network gave NaN or an infinity.
    #[error("its feature holds NaN or an infinity: these weights have diverged")]
    NotFinite,
    /// The network gave nothing but zeros.
    #[error("its feature is zero in every channel: these weights say nothing about it")]
    Zero,
    /// It has another length than the ones before it.
    #[error("its feature has {got} channels, the ones before it {expected}")]
    Channels {
        /// Channels of the rows before.
        expected: usize,
        /// Channels of this one.
        got: usize,
    },
}

impl UnitFeatures {
    /// Scales a feature to unit length and appends it.
    pub fn push(&mut self, feature: &[f32]) -> Result<(), BadFeature> {
        if self.rows.is_empty() {
            self.channels = feature.len();
        }
        if feature.len() != self.channels {
            return Err(BadFeature::Channels {
                expected: self.channels,
                got: feature.len(),
            });
        }
        if feature.iter().any(|x| !x.is_finite()) {
            return Err(BadFeature::NotFinite);
        }
        let norm = feature.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        if norm == 0.0 {
            return Err(BadFeature::Zero);
        }
        self.rows
            .extend(feature.iter().map(|&x| (f64::from(x) / norm) as f32));
        Ok(())
    }

    /// Channels of each (C).
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// All rows, one after the other.
    pub fn values(&self) -> &[f32] {
        &self.rows
    }

    fn row(&self, index: usize) -> &[f32] {
        &self.rows[index * self.channels..(index + 1) * self.channels]
    }

    /// Cosine of the angle between two features. The same for (a, b) as for (b, a), to the last bit.
    pub fn cosine(&self, a: usize, b: usize) -> f32 {
        // Sixteen running sums: the compiler may not reorder one sum, so a single one would add a number at a time.
        const LANES: usize = 16;
        let (a, b) = (self.row(a), self.row(b));
        let mut sums = [0.0_f32; LANES];
        let (whole_a, rest_a) = a.as_chunks::<LANES>();
        let (whole_b, rest_b) = b.as_chunks::<LANES>();
        for (a, b) in whole_a.iter().zip(whole_b) {
            for lane in 0..LANES {
                sums[lane] += a[lane] * b[lane];
            }
        }
        let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
        sums.iter().sum::<f32>() + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_is_the_inner_product_of_the_directions() {
        let mut features = UnitFeatures::default();
        let long: Vec<f32> = (0..37).map(|i| (i as f32 * 0.7).sin()).collect();
        let other: Vec<f32> = (0..37).map(|i| (i as f32 * 1.3).cos() * 20.0).collect();
        features.push(&long).unwrap();
        features.push(&other).unwrap();
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        let expected = dot(&long, &other) / (dot(&long, &long) * dot(&other, &other)).sqrt();
        assert!((f64::from(features.cosine(0, 1)) - expected).abs() < 1e-6);
        assert!((features.cosine(0, 0) - 1.0).abs() < 1e-6);
        assert_eq!(features.cosine(0, 1), features.cosine(1, 0));
        assert_eq!((features.rows.len(), features.channels()), (2 * 37, 37));
    }

    #[test]
    fn refuses_features_that_have_no_direction() {
        let mut features = UnitFeatures::default();
        assert_eq!(features.push(&[1.0, f32::NAN]), Err(BadFeature::NotFinite));
        assert_eq!(features.push(&[0.0, 0.0]), Err(BadFeature::Zero));
        features.push(&[1.0, 0.0]).unwrap();
        assert_eq!(
            features.push(&[1.0]),
            Err(BadFeature::Channels { expected: 2, got: 1 })
        );
    }
}
