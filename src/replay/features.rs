use std::collections::HashMap;

use serde_json::{Value, json};

use super::SampleId;

/// A feature of length 1 times this, rounded. The scalar product of two such rows fits an `i32`, every partial sum too (Cauchy
/// and Schwarz), and multiplying pairs of `i16` is what every CPU does eight at a time.
const ONE: f32 = 32_767.0;

/// Weight of a new feature in the running mean (Purushwalkam et al. 2022, arXiv 2203.12710: 0.5).
const NEWEST: f32 = 0.5;

/// The features of stored samples: a running mean of each sample's, scaled to length 1.
///
/// Rows lie side by side in memory, in 16-bit fixed point, so that all of them can be compared with one within a fraction of a
/// training step (50 000 of 128 values: 13 MB).
#[derive(Clone, Debug, Default)]
pub(super) struct Features {
    width: usize,
    rows: Vec<i16>,
    ids: Vec<SampleId>,
    place: HashMap<SampleId, usize>,
}

/// Cosine of the angle between two rows.
fn cosine(a: &[i16], b: &[i16]) -> f32 {
    dot(a, b) as f32 / (ONE * ONE)
}

fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

/// `values` scaled to length 1, or `None` where that has no meaning.
fn unit_row(values: impl Iterator<Item = f32> + Clone) -> Option<Vec<i16>> {
    let length = values.clone().map(|value| value * value).sum::<f32>().sqrt();
    (length > 0.0 && length.is_finite()).then(|| {
        values
            .map(|value| (value / length * ONE).round() as i16)
            .collect()
    })
}

/// Rows as text, four hexadecimal digits a value.
pub(super) fn to_text(rows: &[i16]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(4 * rows.len());
    for value in rows {
        // Writing to a string cannot fail.
        let _ = write!(text, "{:04x}", *value as u16);
    }
    text
}

/// What [`to_text`] wrote.
pub(super) fn from_text(text: &str) -> Result<Vec<i16>, String> {
    text.as_bytes()
        .chunks(4)
        .map(|digits| {
            let digits = std::str::from_utf8(digits)
                .ok()
                .filter(|digits| digits.len() == 4);
            digits
                .and_then(|digits| u16::from_str_radix(digits, 16).ok())
                .map(|value| value as i16)
                .ok_or_else(|| "not four hexadecimal digits a value".to_owned())
        })
        .collect()
}

impl Features {
    /// All of them, for a checkpoint.
    pub fn export(&self) -> Value {
        json!({
            "width": self.width,
            "ids": self.ids.iter().map(|id| id.0).collect::<Vec<_>>(),
            "rows": to_text(&self.rows),
        })
    }

    /// What [`Self::export`] wrote.
    pub fn from_exported(state: &Value) -> Result<Self, String> {
        let width = state["width"].as_u64().ok_or("width is missing")? as usize;
        let ids: Vec<u64> =
            serde_json::from_value(state["ids"].clone()).map_err(|error| format!("ids: {error}"))?;
        let rows = from_text(state["rows"].as_str().ok_or("rows are missing")?)?;
        let ids: Vec<_> = ids.into_iter().map(SampleId).collect();
        let place: HashMap<_, _> = ids.iter().copied().zip(0..).collect();
        if place.len() != ids.len() || Some(rows.len()) != ids.len().checked_mul(width) {
            return Err(format!(
                "{} values for {} samples of {width}",
                rows.len(),
                ids.len()
            ));
        }
        Ok(Self {
            width,
            rows,
            ids,
            place,
        })
    }

    /// Every sample and its row.
    pub fn each(&self) -> impl Iterator<Item = (SampleId, &[i16])> {
        let rows = self.rows.chunks_exact(self.width.max(1));
        self.ids.iter().copied().zip(rows)
    }

    /// Whose they are.
    pub fn ids(&self) -> impl Iterator<Item = SampleId> {
        self.ids.iter().copied()
    }

    /// How many samples have one.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Takes a sample's latest feature, of any length but 0, into its running mean; false where it is none, or not as wide as
    /// the others.
    pub fn learn(&mut self, id: SampleId, feature: &[f32]) -> bool {
        if self.ids.is_empty() {
            self.width = feature.len();
        }
        if feature.len() != self.width {
            return false;
        }
        let Some(newest) = unit_row(feature.iter().copied()) else {
            return false;
        };
        let Some(&place) = self.place.get(&id) else {
            self.place.insert(id, self.ids.len());
            self.ids.push(id);
            self.rows.extend_from_slice(&newest);
            return true;
        };
        let row = &mut self.rows[place * self.width..][..self.width];
        let mean = row
            .iter()
            .zip(&newest)
            .map(|(old, new)| f32::from(*old) * (1.0 - NEWEST) + f32::from(*new) * NEWEST);
        // Opposite features have no mean direction: the newest stands.
        let mean = unit_row(mean).unwrap_or(newest);
        row.copy_from_slice(&mean);
        true
    }

    pub fn remove(&mut self, id: SampleId) {
        let Some(hole) = self.place.remove(&id) else {
            return;
        };
        let last = self.ids.len() - 1;
        self.ids.swap_remove(hole);
        let width = self.width;
        if hole < last {
            self.rows
                .copy_within(last * width..(last + 1) * width, hole * width);
            self.place.insert(self.ids[hole], hole);
        }
        self.rows.truncate(last * width);
    }

    pub fn get(&self, id: SampleId) -> Option<&[i16]> {
        let place = *self.place.get(&id)?;
        Some(&self.rows[place * self.width..][..self.width])
    }

    /// The cosine of this sample's feature and the one most like it; `None` where it is alone.
    pub fn redundancy(&self, id: SampleId) -> Option<f32> {
        let row = self.get(id)?;
        let others = self.compared_with(row).filter(|(other, _)| *other != id);
        others.map(|(_, cosine)| cosine).reduce(f32::max)
    }

    /// Every sample with a feature, and the cosine of its feature and `row`.
    pub fn compared_with(&self, row: &[i16]) -> impl Iterator<Item = (SampleId, f32)> {
        let rows = self.rows.chunks_exact(self.width.max(1));
        self.ids
            .iter()
            .zip(rows)
            .map(move |(id, other)| (*id, cosine(row, other)))
    }

    /// The `count` samples whose features are most like this one's, and their cosines, the most alike first.
    pub fn neighbours(&self, id: SampleId, count: usize) -> Vec<(SampleId, f32)> {
        let Some(row) = self.get(id) else {
            return Vec::new();
        };
        let mut all: Vec<_> = self
            .compared_with(row)
            .filter(|(other, _)| *other != id)
            .collect();
        let nearer = |a: &(SampleId, f32), b: &(SampleId, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if count < all.len() {
            all.select_nth_unstable_by(count, nearer);
            all.truncate(count);
        }
        all.sort_unstable_by(nearer);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_running_mean_lies_half_way_to_the_newest() {
        let mut features = Features::default();
        assert!(features.learn(SampleId(1), &[3.0, 0.0]));
        assert!(features.learn(SampleId(1), &[0.0, 7.0]));
        assert!(features.learn(SampleId(2), &[1.0, 1.0]));
        let (_, cosine) = features.neighbours(SampleId(1), 1)[0];
        assert!((cosine - 1.0).abs() < 1e-3, "{cosine}");
        assert!(
            features.learn(SampleId(2), &[-1.0, -1.0]),
            "opposite: the newest stands"
        );
        let (_, cosine) = features.neighbours(SampleId(1), 1)[0];
        assert!((cosine + 1.0).abs() < 1e-3, "{cosine}");
    }

    #[test]
    fn what_has_no_direction_or_another_width_is_no_feature() {
        let mut features = Features::default();
        assert!(!features.learn(SampleId(1), &[0.0, 0.0]));
        assert!(!features.learn(SampleId(1), &[f32::NAN, 0.0]));
        assert!(features.learn(SampleId(1), &[1.0, 0.0]));
        assert!(!features.learn(SampleId(2), &[1.0, 0.0, 0.0]));
        assert_eq!(features.len(), 1);
    }

    proptest! {
        /// Whatever comes and goes: neighbours are those that plain floating-point arithmetic finds.
        #[test]
        fn neighbours_are_the_most_alike_of_what_is_there(
            steps in prop::collection::vec((0u64..20, prop::array::uniform4(-1f32..1.0), any::<bool>()), 1..80),
        ) {
            let mut features = Features::default();
            let mut plain: HashMap<u64, [f32; 4]> = HashMap::new();
            for (id, feature, leaves) in steps {
                if leaves {
                    features.remove(SampleId(id));
                    plain.remove(&id);
                } else if !plain.contains_key(&id) && feature.iter().any(|v| v.abs() > 0.1) {
                    prop_assert!(features.learn(SampleId(id), &feature));
                    plain.insert(id, feature);
                }
            }
            prop_assert_eq!(features.len(), plain.len());
            let norm = |a: &[f32; 4]| a.iter().map(|v| v * v).sum::<f32>().sqrt();
            for (id, feature) in &plain {
                let found = features.neighbours(SampleId(*id), 3);
                prop_assert_eq!(found.len(), 3.min(plain.len() - 1));
                let mut expected: Vec<f32> = plain
                    .iter()
                    .filter(|(other, _)| *other != id)
                    .map(|(_, other)| {
                        let dot: f32 = feature.iter().zip(other).map(|(a, b)| a * b).sum();
                        dot / norm(feature) / norm(other)
                    })
                    .collect();
                expected.sort_by(|a, b| b.total_cmp(a));
                for ((_, cosine), expected) in found.iter().zip(expected) {
                    prop_assert!((cosine - expected).abs() < 1e-3, "{} {}", cosine, expected);
                }
            }
        }
    }
}
