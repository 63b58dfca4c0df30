use tch::{Kind, Tensor};

use super::{Comparison, Contrast, info_nce};

/// Motion prediction (paper, section 3.3): the motion predicted at a position must be told apart from the motion at every
/// other position and in every other window of the batch, the sample's own hard negatives among them.
///
/// - `predicted`: `[B, P, E]`
/// - `motion`: `[B, 1 + N, P, E]`, the target first, then the hard negatives
/// - `known`: `[B, 1 + N, P]` boolean; a position that is not known is neither asked nor a key
/// - `segments`: `[B]` i64; *other* samples of the query's segment may hold the very motion that it asks for, so their keys are
///   no negatives. The sample's own windows, which never overlap its target, are.
pub fn motion_loss(predicted: &Tensor, motion: &Tensor, known: &Tensor, segments: &Tensor) -> Contrast {
    let size = motion.size();
    let (batch, windows, positions) = (size[0], size[1], size[2]);
    let long = (Kind::Int64, motion.device());
    let samples = Tensor::arange(batch, long);

    let same_segment = segments.unsqueeze(1).eq_tensor(&segments.unsqueeze(0));
    let same_sample = samples.unsqueeze(1).eq_tensor(&samples.unsqueeze(0));
    let another_of_the_segment = same_segment.logical_and(&same_sample.logical_not());
    // [B, P] queries against [B, 1 + N, P] keys.
    let unknown = known.logical_not();
    let excluded = another_of_the_segment
        .view([batch, 1, batch, 1, 1])
        .logical_or(&unknown.view([1, 1, batch, windows, positions]))
        .expand([batch, positions, batch, windows, positions], false)
        .reshape([batch * positions, batch * windows * positions]);
    let positives = samples.unsqueeze(1) * (windows * positions) + Tensor::arange(positions, long);
    info_nce(&Comparison {
        queries: predicted.flatten(0, 1),
        keys: motion.flatten(0, 2),
        positives: positives.flatten(0, 1),
        excluded,
        asked: known.select(1, 0).flatten(0, 1),
    })
}

#[cfg(test)]
mod tests {
    use super::super::info_nce::reference::{Plain, unit_rows};
    use super::*;

    const B: usize = 4;
    const WINDOWS: usize = 3;
    const P: usize = 5;

    fn by_definition(
        predicted: &[Vec<f64>],
        motion: &[Vec<f64>],
        known: impl Fn(usize, usize, usize) -> bool,
        segments: &[i64; B],
    ) -> Plain {
        let key = |sample: usize, window: usize, position: usize| {
            motion[(sample * WINDOWS + window) * P + position].as_slice()
        };
        let mut plain = Plain::default();
        for sample in 0..B {
            for position in (0..P).filter(|&p| known(sample, 0, p)) {
                let mut negatives = Vec::new();
                for other in 0..B {
                    if other != sample && segments[other] == segments[sample] {
                        continue;
                    }
                    for window in 0..WINDOWS {
                        for p in (0..P).filter(|&p| known(other, window, p)) {
                            if (other, window, p) != (sample, 0, position) {
                                negatives.push(key(other, window, p));
                            }
                        }
                    }
                }
                plain.ask(
                    &predicted[sample * P + position],
                    key(sample, 0, position),
                    &negatives,
                );
            }
        }
        plain
    }

    #[test]
    fn equals_its_definition_in_plain_loops() {
        let all = |_: usize, _: usize, _: usize| true;
        let some = |s: usize, w: usize, p: usize| !(s * 7 + w * 3 + p * 5).is_multiple_of(4);
        let none = |_: usize, _: usize, _: usize| false;
        let masks: [&dyn Fn(usize, usize, usize) -> bool; 3] = [&all, &some, &none];
        for segments in [[0i64, 1, 2, 3], [0, 1, 0, 2], [6; 4]] {
            for known in masks {
                let (predicted, predicted_rows) = unit_rows(B * P, 6, 11);
                let (motion, motion_rows) = unit_rows(B * WINDOWS * P, 6, 12);
                let mut flags = Vec::new();
                for index in 0..B * WINDOWS * P {
                    flags.push(known(index / P / WINDOWS, index / P % WINDOWS, index % P));
                }
                let shape = [B as i64, WINDOWS as i64, P as i64];
                let contrast = motion_loss(
                    &predicted_rows.view([B as i64, P as i64, 6]),
                    &motion_rows.view([B as i64, WINDOWS as i64, P as i64, 6]),
                    &Tensor::from_slice(&flags).view(shape),
                    &Tensor::from_slice(&segments),
                );
                by_definition(&predicted, &motion, known, &segments).assert_equal(&contrast);
            }
        }
    }

    #[test]
    fn the_samples_own_hard_negatives_stay_negatives_when_all_is_one_segment() {
        let (_, predicted) = unit_rows(2, 4, 1);
        let (_, motion) = unit_rows(8, 4, 2);
        let contrast = motion_loss(
            &predicted.view([2, 1, 4]),
            &motion.view([2, 4, 1, 4]),
            &Tensor::ones([2, 4, 1], (Kind::Bool, tch::Device::Cpu)),
            &Tensor::from_slice(&[3i64, 3]),
        );
        assert_eq!(
            contrast.chance.double_value(&[]),
            0.25,
            "one positive and three hard negatives"
        );
    }
}
