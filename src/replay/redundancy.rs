use std::collections::HashMap;
use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::features::{from_text, to_text};
use super::{Entry, Eviction, SampleId, Victim};

/// Nearest neighbours that are looked for again, at most, to choose one victim.
const SEARCHES_A_VICTIM: usize = 4;

/// Samples that one is compared with in a search, at most; half of them are its neighbours in time.
const COMPARED_A_SEARCH: usize = 8192;

/// No neighbour known.
const NOBODY: i32 = i32::MIN;

/// Minimum redundancy (Purushwalkam et al. 2022, arXiv 2203.12710): among the samples already trained on, the two most alike are
/// found, and the older one goes. What was never trained on is never evicted; while nothing was, newcomers are not kept.
///
/// Alike means the cosine of their features' running means. Every sample knows its nearest neighbour *at the time it or another
/// one changed*: a new feature is compared with the others, once, which also tells each of them whether it has become their
/// nearest. With all others up to `COMPARED_A_SEARCH`; in a larger store with those trained on around the same time, where a
/// stream's near-duplicates are, and with as many more, each time the next ones behind. When a neighbour leaves or changes, nothing is
/// searched: what a sample remembers is then too high, so it comes up as a victim no later than it should, and only then is its
/// neighbour looked for again. After `SEARCHES_A_VICTIM` searches the
/// one that looks most redundant goes, right or not: work an insert is bounded.
#[derive(Debug)]
pub struct MinimumRedundancy {
    searches_a_victim: usize,
    compared_a_search: usize,
    width: usize,
    /// One after another, parallel to what follows.
    rows: Vec<i16>,
    ids: Vec<SampleId>,
    /// The scalar product with the nearest neighbour, and who that is.
    nearest: Vec<i32>,
    neighbour: Vec<SampleId>,
    /// How many searches each has had in a large store: the next one goes on behind them.
    searches: Vec<u32>,
    place: HashMap<SampleId, usize>,
}

fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

impl Default for MinimumRedundancy {
    fn default() -> Self {
        Self::with_searches(SEARCHES_A_VICTIM)
    }
}

impl MinimumRedundancy {
    /// With another bound on the searches for one victim.
    pub(super) fn with_searches(searches_a_victim: usize) -> Self {
        Self {
            searches_a_victim,
            compared_a_search: COMPARED_A_SEARCH,
            width: 0,
            rows: Vec::new(),
            ids: Vec::new(),
            nearest: Vec::new(),
            neighbour: Vec::new(),
            searches: Vec::new(),
            place: HashMap::new(),
        }
    }

    fn row(&self, place: usize) -> &[i16] {
        &self.rows[place * self.width..][..self.width]
    }

    /// What is remembered of the sample's neighbour still holds.
    fn is_current(&self, place: usize) -> bool {
        let neighbour = self.place.get(&self.neighbour[place]);
        neighbour.is_some_and(|&other| dot(self.row(place), self.row(other)) == self.nearest[place])
    }

    /// Compares the sample with others: finds its nearest neighbour, and tells those whose nearest it has become.
    fn search(&mut self, place: usize) {
        let (count, most) = (self.ids.len(), self.compared_a_search);
        if count <= most {
            let found = self.compare(place, 0..count, (NOBODY, self.ids[place]));
            (self.nearest[place], self.neighbour[place]) = found;
            return;
        }
        // What it remembers may lie outside of what is looked at now; it stands if it still holds.
        let remembered = match self.is_current(place) {
            true => (self.nearest[place], self.neighbour[place]),
            false => (NOBODY, self.ids[place]),
        };
        let half = most / 2;
        let begin = place.saturating_sub(half / 2).min(count - half);
        let around = self.compare(place, begin..begin + half, remembered);
        // Behind what it was compared with before. A global turn would show it the same others each time when samples are drawn
        // in a fixed order. Of two samples one lies at most half a store behind the other, and is reached from there.
        let turn = (begin + half + self.searches[place] as usize % count * half) % count;
        let end = (turn + half).min(count);
        let first = self.compare(place, turn..end, around);
        let found = self.compare(place, 0..(turn + half).saturating_sub(count), first);
        self.searches[place] = self.searches[place].wrapping_add(1);
        (self.nearest[place], self.neighbour[place]) = found;
    }

    /// Compares the sample with those at `places`; gives the nearest of them and of what was `known`.
    fn compare(&mut self, place: usize, places: Range<usize>, known: (i32, SampleId)) -> (i32, SampleId) {
        let row = self.row(place).to_vec();
        let (mut nearest, mut neighbour) = known;
        for other in places.filter(|other| *other != place) {
            let alike = dot(&row, &self.rows[other * self.width..][..self.width]);
            if alike > nearest {
                (nearest, neighbour) = (alike, self.ids[other]);
            }
            if alike > self.nearest[other] {
                self.nearest[other] = alike;
                self.neighbour[other] = self.ids[place];
            }
        }
        (nearest, neighbour)
    }

    /// Where the sample is that seems to have the nearest neighbour; of several the oldest.
    fn most_redundant(&self) -> Option<usize> {
        let most = *self.nearest.iter().max()?;
        let places = (0..self.ids.len()).filter(|&place| self.nearest[place] == most);
        places.min_by_key(|&place| self.ids[place])
    }
}

impl Eviction for MinimumRedundancy {
    fn inserted(&mut self, _entry: &Entry<'_>) {}

    fn removed(&mut self, id: SampleId) {
        let Some(hole) = self.place.remove(&id) else {
            return;
        };
        let last = self.ids.len() - 1;
        self.ids.swap_remove(hole);
        self.nearest.swap_remove(hole);
        self.neighbour.swap_remove(hole);
        self.searches.swap_remove(hole);
        if hole < last {
            let width = self.width;
            self.rows
                .copy_within(last * width..(last + 1) * width, hole * width);
            self.place.insert(self.ids[hole], hole);
        }
        self.rows.truncate(last * self.width);
    }

    fn feature(&mut self, id: SampleId, feature: &[i16]) {
        if self.ids.is_empty() {
            self.width = feature.len();
        }
        let place = match self.place.get(&id) {
            Some(&place) => {
                self.rows[place * self.width..][..self.width].copy_from_slice(feature);
                place
            }
            None => {
                let place = self.ids.len();
                self.rows.extend_from_slice(feature);
                self.ids.push(id);
                self.nearest.push(NOBODY);
                self.neighbour.push(id);
                self.searches.push(0);
                self.place.insert(id, place);
                place
            }
        };
        self.search(place);
    }

    fn victim(&mut self, _incoming: &Entry<'_>, _rng: &mut ChaCha8Rng) -> Victim {
        for _ in 0..self.searches_a_victim {
            let Some(place) = self.most_redundant() else {
                return Victim::Incoming;
            };
            if self.ids.len() == 1 || self.is_current(place) {
                // The pair is as alike seen from either side; its older half has been learned from longer.
                return Victim::Stored(self.ids[place].min(self.neighbour[place]));
            }
            self.search(place);
        }
        self.most_redundant()
            .map_or(Victim::Incoming, |place| Victim::Stored(self.ids[place]))
    }

    fn export(&self) -> Value {
        json!({
            "ids": self.ids.iter().map(|id| id.0).collect::<Vec<_>>(),
            "nearest": self.nearest,
            "neighbours": self.neighbour.iter().map(|id| id.0).collect::<Vec<_>>(),
            "width": self.width,
            "searches": self.searches,
            "rows": to_text(&self.rows),
        })
    }

    fn import(&mut self, state: Value) -> Result<(), String> {
        let field = |name: &str| {
            state
                .get(name)
                .cloned()
                .ok_or_else(|| format!("{name} is missing"))
        };
        let list = |name: &str| -> Result<Vec<SampleId>, String> {
            let ids: Vec<u64> =
                serde_json::from_value(field(name)?).map_err(|error| format!("{name}: {error}"))?;
            Ok(ids.into_iter().map(SampleId).collect())
        };
        let ids = list("ids")?;
        let neighbour = list("neighbours")?;
        let nearest: Vec<i32> =
            serde_json::from_value(field("nearest")?).map_err(|error| format!("nearest: {error}"))?;
        let width = field("width")?.as_u64().ok_or("width is no number")? as usize;
        let searches: Vec<u32> =
            serde_json::from_value(field("searches")?).map_err(|error| format!("searches: {error}"))?;
        let rows = from_text(field("rows")?.as_str().unwrap_or_default())?;
        let place: HashMap<_, _> = ids.iter().copied().zip(0..).collect();
        let count = ids.len();
        let lengths = [place.len(), neighbour.len(), nearest.len(), searches.len()];
        if lengths != [count; 4] || Some(rows.len()) != count.checked_mul(width) {
            return Err("its lists are not of equal length".to_owned());
        }
        *self = Self {
            searches_a_victim: self.searches_a_victim,
            compared_a_search: self.compared_a_search,
            width,
            rows,
            ids,
            nearest,
            neighbour,
            searches,
            place,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    /// Pairs of near-duplicates among random features: nearly all are found, though no search looks at more than a sixth.
    #[test]
    fn in_a_large_store_bounded_searches_find_the_duplicates() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut policy = MinimumRedundancy {
            compared_a_search: 100,
            ..MinimumRedundancy::default()
        };
        let mut row = |like: Option<&Vec<f32>>| -> Vec<f32> {
            let noise = if like.is_some() { 0.05f32 } else { 1.0 };
            (0..16)
                .map(|index| like.map_or(0.0, |like| like[index]) + rng.random_range(-noise..noise))
                .collect()
        };
        let mut rows: Vec<Vec<f32>> = (0..300).map(|_| row(None)).collect();
        for original in 0..300 {
            let twin = row(Some(&rows[original]));
            rows.push(twin);
        }
        let teach = |policy: &mut MinimumRedundancy, id: usize| {
            let length = rows[id].iter().map(|value| value * value).sum::<f32>().sqrt();
            let unit: Vec<i16> = rows[id].iter().map(|v| (v / length * 32_767.0) as i16).collect();
            policy.feature(SampleId(id as u64), &unit);
        };
        // Each sample is drawn eight times, as by default.
        for _ in 0..8 {
            (0..600).for_each(|id| teach(&mut policy, id));
        }
        let found = (0..600).filter(|id| {
            let place = policy.place[&SampleId(*id)];
            policy.neighbour[place].0 == (id + 300) % 600
        });
        let found = found.count();
        assert!(found > 540, "{found} of 600 know their twin");
    }
}
