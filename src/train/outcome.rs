use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor, no_grad};

use crate::replay::SampleId;

/// Values of a sample's feature at most. Wider pooled features are projected: 50 000 of them must be searched within a step.
pub const FEATURE_WIDTH: i64 = 128;

/// The projection's own seed: features of one run mean the same in the next.
const PROJECTION_SEED: u64 = 0x00c0_10fe;

/// What a training step made of one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleOutcome {
    /// Whose.
    pub id: SampleId,
    /// The clip's context loss *before* the step changed the networks, nats; `None` where it had nothing to compare.
    pub context_loss: Option<f32>,
    /// The same of the motion loss, averaged over the positions whose motion was known.
    pub motion_loss: Option<f32>,
    /// The clip's pooled feature, scaled to length 1, at most [`FEATURE_WIDTH`] values; empty where it was not finite.
    pub feature: Vec<f32>,
}

/// Pooled features `[B, C]` → rows of length 1, at most [`FEATURE_WIDTH`] wide.
///
/// Wider ones are multiplied by a fixed matrix of random signs, which keeps cosines to within about 1/√128 (Johnson and
/// Lindenstrauss; signs after Achlioptas 2003).
#[derive(Debug)]
pub(super) struct FeatureProjection {
    /// `[C, FEATURE_WIDTH]`.
    signs: Option<Tensor>,
}

impl FeatureProjection {
    /// For features of `channels` values.
    pub fn new(channels: i64, device: Device) -> Self {
        let signs = (channels > FEATURE_WIDTH).then(|| {
            let mut rng = ChaCha8Rng::seed_from_u64(PROJECTION_SEED);
            let count = channels * FEATURE_WIDTH;
            let signs: Vec<f32> = (0..count)
                .map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 })
                .collect();
            Tensor::from_slice(&signs)
                .view([channels, FEATURE_WIDTH])
                .to_device(device)
        });
        Self { signs }
    }

    /// `[B, C]`, any kind → `[B, ≤ FEATURE_WIDTH]`, f32, rows of length 1 (of zeros where a feature is 0), without gradient.
    pub fn apply(&self, pooled: &Tensor) -> Tensor {
        no_grad(|| {
            let pooled = pooled.detach().to_kind(Kind::Float);
            let rows = match &self.signs {
                Some(signs) => pooled.matmul(signs),
                None => pooled,
            };
            let lengths = rows.square().sum_dim_intlist(1, true, Kind::Float).sqrt();
            rows / lengths.clamp_min(1e-12)
        })
    }
}

/// Outcomes that are still on the device.
#[derive(Debug)]
pub(super) struct PendingOutcomes {
    ids: Vec<SampleId>,
    /// `[B, 2 + F]`: context and motion loss, then the feature.
    rows: Tensor,
}

impl PendingOutcomes {
    /// `losses` `[B, 2]` and `features` `[B, F]` of these samples, in their order.
    pub fn new(ids: Vec<SampleId>, losses: &Tensor, features: &Tensor) -> Self {
        let rows = no_grad(|| Tensor::cat(&[losses, features], 1));
        Self { ids, rows }
    }

    /// Brings them to the host. Waits for the device.
    pub fn fetch(self) -> Vec<SampleOutcome> {
        let width = self.rows.size()[1] as usize;
        let host = self.rows.to_device(Device::Cpu).contiguous();
        let mut values = vec![0f32; self.ids.len() * width];
        let count = values.len();
        host.copy_data(&mut values, count);
        let rows = values.chunks_exact(width.max(1));
        let outcome = |(id, row): (SampleId, &[f32])| {
            let finite = |value: f32| value.is_finite().then_some(value);
            let feature = &row[2..];
            let sound = feature.iter().all(|value| value.is_finite());
            SampleOutcome {
                id,
                context_loss: finite(row[0]),
                motion_loss: finite(row[1]),
                feature: if sound { feature.to_vec() } else { Vec::new() },
            }
        };
        self.ids.into_iter().zip(rows).map(outcome).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_keeps_who_resembles_whom() {
        let wide = 2048;
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let values: Vec<f32> = (0..3 * wide).map(|_| rng.random_range(-1.0..1.0)).collect();
        let base = Tensor::from_slice(&values).view([3, wide]);
        let near = &base + 0.1 * (&base * 7.0).cos();
        let project = FeatureProjection::new(wide, Device::Cpu);
        let (a, b) = (project.apply(&base), project.apply(&near));
        assert_eq!(a.size(), [3, FEATURE_WIDTH]);
        let cosines = a.matmul(&b.transpose(0, 1));
        for row in 0..3 {
            for column in 0..3 {
                let cosine = cosines.double_value(&[row, column]);
                assert_eq!(cosine > 0.9, row == column, "{row} {column}: {cosine}");
            }
        }
    }

    #[test]
    fn outcomes_without_a_figure_have_none_and_broken_features_are_empty() {
        let losses = Tensor::from_slice(&[1f32, f32::NAN, 2.0, 3.0]).view([2, 2]);
        let features = Tensor::from_slice(&[0.6f32, 0.8, f32::INFINITY, 0.0]).view([2, 2]);
        let ids = vec![SampleId(4), SampleId(5)];
        let outcomes = PendingOutcomes::new(ids, &losses, &features).fetch();
        assert_eq!(outcomes[0].motion_loss, None);
        assert_eq!(outcomes[0].feature, [0.6, 0.8]);
        assert_eq!(
            outcomes[1],
            SampleOutcome {
                id: SampleId(5),
                context_loss: Some(2.0),
                motion_loss: Some(3.0),
                feature: Vec::new(),
            }
        );
    }
}
