//! Coding order → display order. Pure.

/// One frame (or complementary field pair) in coding order, as far as its place among the others goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Rises where picture order counts start anew: at every IDR picture, and after memory management operation 5
    /// (clause 8.2.1).
    pub epoch: u32,
    /// Picture order count within the epoch.
    pub poc: i32,
}

/// Position in display order of each frame, given in coding order. Frames with equal places (which a legal stream does not
/// have) keep their coding order.
pub fn display_ranks(places: &[Place]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&coded| (places[coded].epoch, places[coded].poc, coded));
    let mut ranks = vec![0; places.len()];
    for (rank, coded) in order.into_iter().enumerate() {
        ranks[coded] = rank as u64;
    }
    ranks
}

/// How many frames a decoder must be able to hold back: the most frames that come before one in coding order and after it
/// in display order (what `max_num_reorder_frames` promises, clause E.2.1).
pub fn reorder_depth(ranks: &[u64]) -> usize {
    // The frames held back are those coded already whose turn has not come: few, so a linear scan of them is cheap.
    let mut held: Vec<u64> = Vec::new();
    let mut depth = 0;
    let mut next_rank = 0;
    for &rank in ranks {
        depth = depth.max(held.iter().filter(|&&earlier| earlier > rank).count());
        held.push(rank);
        held.sort_unstable();
        let shown = held
            .iter()
            .enumerate()
            .take_while(|&(nth, &held)| held == next_rank + nth as u64)
            .count();
        held.drain(..shown);
        next_rank += shown as u64;
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places(pocs: &[(u32, i32)]) -> Vec<Place> {
        pocs.iter().map(|&(epoch, poc)| Place { epoch, poc }).collect()
    }

    #[test]
    fn a_b_pyramid_is_put_in_order_and_holds_two_frames_back() {
        // I0 P8 B4 b2 b6 | I0 P2
        let places = places(&[(0, 0), (0, 8), (0, 4), (0, 2), (0, 6), (1, 0), (1, 2)]);
        let ranks = display_ranks(&places);
        assert_eq!(ranks, [0, 4, 2, 1, 3, 5, 6]);
        assert_eq!(reorder_depth(&ranks), 2);
    }

    #[test]
    fn nothing_is_held_back_without_b_pictures() {
        let ranks = display_ranks(&places(&[(0, 0), (0, 2), (1, 0), (1, 2)]));
        assert_eq!(ranks, [0, 1, 2, 3]);
        assert_eq!(reorder_depth(&ranks), 0);
    }

    proptest! {
        #[test]
        fn the_depth_is_the_most_inversions_of_one_frame(
            ranks in prop::collection::vec(0_u64..1000, 0..40).prop_map(|keys| {
                display_ranks(&keys.iter().map(|&key| Place { epoch: 0, poc: key as i32 }).collect::<Vec<_>>())
            })
        ) {
            let by_definition = (0..ranks.len())
                .map(|at| ranks[..at].iter().filter(|&&earlier| earlier > ranks[at]).count())
                .max()
                .unwrap_or(0);
            prop_assert_eq!(reorder_depth(&ranks), by_definition);
        }
    }
}
