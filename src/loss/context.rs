use tch::Tensor;

use super::{Comparison, Contrast, info_nce};

/// Context matching (paper, section 3.2): a clip must find its key frame among all key frames of the batch.
///
/// `clips` and `key_frames` are `[B, E]`, `segments` `[B]` i64. Key frames of the same segment show the same scene: they are no
/// negatives. (The paper draws one sample a video and never meets them.)
pub fn context_loss(clips: &Tensor, key_frames: &Tensor, segments: &Tensor) -> Contrast {
    let batch = segments.size()[0];
    let device = segments.device();
    info_nce(&Comparison {
        queries: clips.shallow_clone(),
        keys: key_frames.shallow_clone(),
        positives: Tensor::arange(batch, (tch::Kind::Int64, device)),
        excluded: segments.unsqueeze(1).eq_tensor(&segments.unsqueeze(0)),
        asked: Tensor::ones([batch], (tch::Kind::Bool, device)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::info_nce::reference::{Plain, unit_rows};
    use super::*;

    #[test]
    fn equals_its_definition_in_plain_loops() {
        for (seed, segments) in [
            (1, [0i64, 1, 2, 3, 4]),
            (2, [0, 1, 0, 2, 1]),
            (3, [7, 7, 7, 7, 9]),
            (4, [5; 5]),
        ] {
            let (clips, clips_tensor) = unit_rows(5, 8, seed);
            let (keys, keys_tensor) = unit_rows(5, 8, seed + 100);
            let mut plain = Plain::default();
            for query in 0..5 {
                let others = (0..5).filter(|&k| segments[k] != segments[query]);
                let negatives: Vec<&[f64]> = others.map(|k| keys[k].as_slice()).collect();
                plain.ask(&clips[query], &keys[query], &negatives);
            }
            plain.assert_equal(&context_loss(
                &clips_tensor,
                &keys_tensor,
                &Tensor::from_slice(&segments),
            ));
        }
    }
}
