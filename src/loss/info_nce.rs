use tch::{Kind, Tensor};

use super::TEMPERATURE;

/// Queries to be told apart by their keys.
#[derive(Debug)]
pub struct Comparison {
    /// `[Q, E]`, rows of length 1.
    pub queries: Tensor,
    /// `[K, E]`, rows of length 1.
    pub keys: Tensor,
    /// `[Q]`, i64: the row of the key that belongs to the query.
    pub positives: Tensor,
    /// `[Q, K]`, boolean: keys that are neither positive nor negative for the query. The positive's entry is ignored.
    pub excluded: Tensor,
    /// `[Q]`, boolean: queries that are asked at all.
    pub asked: Tensor,
}

/// How a task went, averaged over the queries that were asked and had at least one negative. Scalars, f32.
#[derive(Debug)]
pub struct Contrast {
    /// −log of the positive's soft-max share, nats; with gradient.
    pub loss: Tensor,
    /// Share of queries whose positive is the most similar key.
    pub top1: Tensor,
    /// What `top1` would be if keys were picked blindly.
    pub chance: Tensor,
    /// How many queries the averages are over; all of the above are 0 where it is.
    pub queries: Tensor,
    /// `[Q]`, f32: each query's loss, without gradient; NaN where the query is not counted.
    pub by_query: Tensor,
}

/// InfoNCE (van den Oord et al. 2018) with cosine similarity and temperature 0.1, from queries to keys only.
pub fn info_nce(comparison: &Comparison) -> Contrast {
    let Comparison {
        queries,
        keys,
        positives,
        excluded,
        asked,
    } = comparison;
    let positives = positives.unsqueeze(1);
    // The positive always takes part, so that no row is empty and no gradient undefined, even of queries that are not asked.
    let excluded = excluded.scatter_value(1, &positives, 0);
    let logits =
        (queries.matmul(&keys.transpose(0, 1)) / TEMPERATURE).masked_fill(&excluded, f64::NEG_INFINITY);
    let taking_part = excluded.logical_not().sum_dim_intlist(1, false, Kind::Float);
    let counted = asked.logical_and(&taking_part.gt(1.0)).to_kind(Kind::Float);
    let count = counted.sum(Kind::Float);
    let mean = |of: &Tensor| (of * &counted).sum(Kind::Float) / count.clamp_min(1.0);

    let positive_logit = logits.gather(1, &positives, false).squeeze_dim(1);
    let loss = logits.logsumexp(1, false) - positive_logit;
    let hit = logits
        .argmax(1, true)
        .eq_tensor(&positives)
        .squeeze_dim(1)
        .to_kind(Kind::Float);
    Contrast {
        loss: mean(&loss),
        top1: mean(&hit),
        chance: mean(&taking_part.reciprocal()),
        queries: count,
        by_query: loss.detach().masked_fill(&counted.eq(0.0), f64::NAN),
    }
}

#[cfg(test)]
pub(super) mod reference {
    /// The same in plain loops over f64, as a definition to compare with.
    #[derive(Debug, Default)]
    pub struct Plain {
        loss: f64,
        hits: f64,
        chance: f64,
        queries: f64,
    }

    impl Plain {
        /// One query with its positive and its negatives.
        pub fn ask(&mut self, query: &[f64], positive: &[f64], negatives: &[&[f64]]) {
            if negatives.is_empty() {
                return;
            }
            let similarity = |key: &[f64]| query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() / 0.1;
            let wanted = similarity(positive);
            let mut sum = wanted.exp();
            let mut best = true;
            for key in negatives {
                sum += similarity(key).exp();
                best &= similarity(key) < wanted;
            }
            self.loss -= (wanted.exp() / sum).ln();
            self.hits += f64::from(u8::from(best));
            self.chance += 1.0 / (1 + negatives.len()) as f64;
            self.queries += 1.0;
        }

        /// Compares with what the tensors gave.
        pub fn assert_equal(&self, contrast: &super::Contrast) {
            let count = self.queries.max(1.0);
            for (what, tensor, value) in [
                ("queries", &contrast.queries, self.queries),
                ("loss", &contrast.loss, self.loss / count),
                ("top1", &contrast.top1, self.hits / count),
                ("chance", &contrast.chance, self.chance / count),
            ] {
                let found = tensor.double_value(&[]);
                assert!(
                    (found - value).abs() < 1e-4,
                    "{what} is {found}, by definition {value}"
                );
            }
        }
    }

    /// Rows of length 1 and the same as a tensor `[rows, width]`, f32.
    pub fn unit_rows(rows: usize, width: usize, seed: u64) -> (Vec<Vec<f64>>, tch::Tensor) {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut row = || {
            let row: Vec<f64> = (0..width).map(|_| rng.random_range(-1.0..1.0)).collect();
            let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            row.into_iter().map(|v| v / length).collect::<Vec<f64>>()
        };
        let made: Vec<Vec<f64>> = (0..rows).map(|_| row()).collect();
        let flat: Vec<f32> = made.iter().flatten().map(|&v| v as f32).collect();
        let tensor = tch::Tensor::from_slice(&flat).view([rows as i64, width as i64]);
        (made, tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_without_negatives_or_not_asked_gives_neither_loss_nor_gradient() {
        let (_, rows) = reference::unit_rows(3, 4, 1);
        let queries = rows.set_requires_grad(true);
        let contrast = info_nce(&Comparison {
            queries: queries.shallow_clone(),
            keys: rows.detach(),
            positives: Tensor::from_slice(&[0i64, 1, 2]),
            excluded: Tensor::from_slice(&[true, true, true, false, false, false, true, true, true])
                .view([3, 3]),
            asked: Tensor::from_slice(&[true, false, false]),
        });
        assert_eq!(contrast.queries.double_value(&[]), 0.0);
        assert_eq!(contrast.loss.double_value(&[]), 0.0);
        assert_eq!(
            contrast.by_query.isnan().sum(Kind::Int64).int64_value(&[]),
            3,
            "no query has a loss of its own"
        );
        let gradient = &Tensor::run_backward(&[contrast.loss], &[&queries], false, false)[0];
        assert_eq!(gradient.abs().sum(Kind::Float).double_value(&[]), 0.0);
    }
}
