use std::collections::BTreeMap;

/// The most frames that a picture can be decoded ahead of its display: `MaxDpbFrames` is at most 16 (A.3.1 h), and
/// `max_num_reorder_frames` at most that (E.2.1). Waiting for so many needs no trust in any header.
pub(crate) const REORDER_FRAMES_MAX: usize = 16;

/// Puts pictures, which come in decoding order, into display order by picture order count alone: time stamps may be
/// missing, repeated or wrong.
///
/// Picture order counts start anew at every IDR picture and at every picture with `memory_management_control_operation` 5;
/// all pictures before it are displayed before it (C.4.4). Within such a period the smallest count is next once more than
/// [`REORDER_FRAMES_MAX`] pictures wait: each of them follows it in display, and a picture still to come that precedes it
/// would have them all to follow.
#[derive(Debug, Default)]
pub(crate) struct DisplayOrder {
    waiting: BTreeMap<(u64, i32), u64>,
    period: u64,
    last_displayed: Option<(u64, i32)>,
}

/// A picture whose place in display has passed or is taken: the stream is not what its headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfOrder;

/// A picture whose place in display is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Displayed {
    /// Position in decoding order, as pushed.
    pub decoding_index: u64,
    /// Its picture order count minus that of the picture displayed before it, when both count alike.
    pub poc_difference: Option<i32>,
}

impl DisplayOrder {
    /// Takes the next picture in decoding order; `out` gets those whose place became final.
    pub fn push(
        &mut self,
        decoding_index: u64,
        poc: i32,
        starts_period: bool,
        out: &mut Vec<Displayed>,
    ) -> Result<(), OutOfOrder> {
        if starts_period {
            self.flush(out);
            self.period += 1;
        }
        let place = (self.period, poc);
        if self.last_displayed.is_some_and(|last| place <= last) || self.waiting.contains_key(&place) {
            return Err(OutOfOrder);
        }
        self.waiting.insert(place, decoding_index);
        if self.waiting.len() > REORDER_FRAMES_MAX {
            self.display_next(out);
        }
        Ok(())
    }

    /// No further picture of this period comes.
    pub fn flush(&mut self, out: &mut Vec<Displayed>) {
        while self.display_next(out) {}
    }

    /// No further picture comes because some were lost: takes those that follow each other without a gap in their counts.
    /// Behind a gap there may be lost ones.
    pub fn flush_before_gap(&mut self, poc_per_frame: i32, out: &mut Vec<Displayed>) {
        while let Some((place, _)) = self.waiting.first_key_value()
            && self.follows_without_gap(*place, poc_per_frame)
        {
            self.display_next(out);
        }
    }

    fn follows_without_gap(&self, place: (u64, i32), poc_per_frame: i32) -> bool {
        match self.last_displayed {
            Some(last) if last.0 == place.0 => place.1.saturating_sub(last.1) <= poc_per_frame,
            // A period begins with the picture that starts it.
            _ => place.1 == 0,
        }
    }

    /// Pictures whose place is not final, in the order of what is known.
    pub fn waiting(&self) -> impl Iterator<Item = u64> {
        self.waiting.values().copied()
    }

    fn display_next(&mut self, out: &mut Vec<Displayed>) -> bool {
        let Some((place, decoding_index)) = self.waiting.pop_first() else {
            return false;
        };
        let last = self.last_displayed.replace(place);
        out.push(Displayed {
            decoding_index,
            poc_difference: last
                .filter(|last| last.0 == place.0)
                .map(|last| place.1.saturating_sub(last.1)),
        });
        true
    }
}

/// How much the picture order count rises from one frame to the next in display: 2 with most encoders, 1 with some.
///
/// Nothing in the bitstream says so. It is taken to be the most frequent difference between display neighbours (of equally
/// frequent ones, the smallest), so that neither a frame that an encoder left out nor a stray one decides it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PocStep {
    counts: BTreeMap<i32, u32>,
}

impl PocStep {
    /// Differences kept apart; a stream has one or two, only garbage has more.
    const DIFFERENCES_MAX: usize = 64;
    /// What H.264 suggests: one for each field (8.2.1).
    const UNKNOWN: i32 = 2;

    /// Counts the difference between two display neighbours.
    pub fn observe(&mut self, poc_difference: i32) {
        if poc_difference > 0
            && (self.counts.len() < Self::DIFFERENCES_MAX || self.counts.contains_key(&poc_difference))
        {
            *self.counts.entry(poc_difference).or_default() += 1;
        }
    }

    /// The step, at least 1.
    pub fn poc_per_frame(&self) -> i32 {
        // `max_by_key` prefers the last of equals; reversed, that is the smallest difference.
        self.counts
            .iter()
            .rev()
            .max_by_key(|(_, count)| **count)
            .map_or(Self::UNKNOWN, |(difference, _)| *difference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `I` starts a period; the rest are counts.
    fn displayed(pictures: &[(i32, bool)]) -> Vec<u64> {
        let mut order = DisplayOrder::default();
        let mut out = Vec::new();
        for (index, (poc, starts_period)) in pictures.iter().enumerate() {
            order.push(index as u64, *poc, *starts_period, &mut out).unwrap();
        }
        order.flush(&mut out);
        out.iter().map(|displayed| displayed.decoding_index).collect()
    }

    #[test]
    fn a_pyramid_is_shown_in_order_of_its_counts() {
        let pyramid = [(0, true), (8, false), (4, false), (2, false), (6, false)];
        assert_eq!(displayed(&pyramid), [0, 3, 2, 4, 1]);
    }

    #[test]
    fn counts_start_anew_at_an_idr_picture() {
        let two = [
            (0, true),
            (4, false),
            (2, false),
            (0, true),
            (4, false),
            (2, false),
        ];
        assert_eq!(displayed(&two), [0, 2, 1, 3, 5, 4]);
    }

    #[test]
    fn leading_pictures_of_an_open_gop_come_before_its_key_frame() {
        let open = [
            (0, true),
            (4, false),
            (2, false),
            (10, false),
            (6, false),
            (8, false),
        ];
        assert_eq!(displayed(&open), [0, 2, 1, 4, 5, 3]);
    }

    #[test]
    fn waits_for_the_longest_reordering_that_the_standard_allows() {
        // Sixteen pictures ahead of the one that precedes them all but the first.
        let mut pictures = vec![(0, true)];
        pictures.extend((2..18).map(|poc| (poc, false)));
        pictures.push((1, false));
        let mut expected = vec![0, 17];
        expected.extend(1..17);
        assert_eq!(displayed(&pictures), expected);
    }

    #[test]
    fn a_late_or_repeated_picture_is_told() {
        let mut order = DisplayOrder::default();
        let mut out = Vec::new();
        order.push(0, 0, true, &mut out).unwrap();
        assert_eq!(order.push(1, 0, false, &mut out), Err(OutOfOrder));
        for poc in 1..=20 {
            order.push(poc as u64, poc * 10, false, &mut out).unwrap();
        }
        assert_eq!(order.push(21, 5, false, &mut out), Err(OutOfOrder));
    }

    #[test]
    fn after_a_loss_only_what_follows_without_a_gap_is_shown() {
        let mut order = DisplayOrder::default();
        let mut out = Vec::new();
        for (index, poc) in [0, 2, 8, 4].into_iter().enumerate() {
            order.push(index as u64, poc, index == 0, &mut out).unwrap();
        }
        order.display_next(&mut out);
        order.flush_before_gap(2, &mut out);
        let shown: Vec<u64> = out.iter().map(|displayed| displayed.decoding_index).collect();
        assert_eq!(shown, [0, 1, 3]);
    }

    #[test]
    fn the_step_is_the_most_frequent_difference_and_the_smaller_of_equals() {
        let mut step = PocStep::default();
        assert_eq!(step.poc_per_frame(), 2);
        for difference in [4, 2] {
            step.observe(difference);
        }
        assert_eq!(step.poc_per_frame(), 2);
        for difference in [4, 1, 0, -3] {
            step.observe(difference);
        }
        assert_eq!(step.poc_per_frame(), 4);
    }
}
