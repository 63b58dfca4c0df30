//! Frames in coding order → groups of pictures. Pure.

use serde::Serialize;

/// How a decoder may begin at a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It may not.
    None,
    /// An instantaneous decoding refresh: nothing after it refers to anything before it.
    Idr,
    /// A recovery point (clause D.2.8): pictures are right from a later point on.
    RecoveryPoint,
}

/// One frame in coding order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodedFrame {
    /// Whether a group begins here.
    pub entry: Entry,
    /// Its position in display order.
    pub rank: u64,
}

/// Lengths of the groups of pictures. A group begins at a frame that a decoder may begin at; frames before the first such
/// frame are `before_first`. The last group ends with the file and may be cut by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GopFacts {
    /// Groups.
    pub count: usize,
    /// Groups that begin with an IDR picture; the others begin at a recovery point.
    pub idr: usize,
    /// Groups with frames that are coded after the group's first frame and shown before it: open groups, whose leading
    /// frames need the group before.
    pub open: usize,
    /// Groups without such frames.
    pub closed: usize,
    /// Frames in the shortest group.
    pub min_frames: usize,
    /// Frames in the middle group; of the two in the middle the longer.
    pub median_frames: usize,
    /// Frames in the longest group.
    pub max_frames: usize,
    /// Frames before the first group.
    pub before_first: usize,
}

impl GopFacts {
    /// Groups of the frames, given in coding order.
    pub fn of(frames: &[CodedFrame]) -> Self {
        let starts: Vec<usize> = (0..frames.len())
            .filter(|&at| frames[at].entry != Entry::None)
            .collect();
        let mut facts = Self {
            before_first: starts.first().copied().unwrap_or(frames.len()),
            ..Self::default()
        };
        let mut lengths = Vec::new();
        for (nth, &start) in starts.iter().enumerate() {
            let end = starts.get(nth + 1).copied().unwrap_or(frames.len());
            let first = frames[start];
            facts.idr += usize::from(first.entry == Entry::Idr);
            match frames[start..end].iter().any(|frame| frame.rank < first.rank) {
                true => facts.open += 1,
                false => facts.closed += 1,
            }
            lengths.push(end - start);
        }
        lengths.sort_unstable();
        facts.count = lengths.len();
        facts.min_frames = lengths.first().copied().unwrap_or(0);
        facts.median_frames = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
        facts.max_frames = lengths.last().copied().unwrap_or(0);
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(text: &[(char, u64)]) -> Vec<CodedFrame> {
        text.iter()
            .map(|&(kind, rank)| CodedFrame {
                entry: match kind {
                    'I' => Entry::Idr,
                    'R' => Entry::RecoveryPoint,
                    _ => Entry::None,
                },
                rank,
            })
            .collect()
    }

    #[test]
    fn leading_frames_make_a_group_open() {
        // IDR P B | recovery point, a B shown before it, P | recovery point without one
        let facts = GopFacts::of(&frames(&[
            ('I', 0),
            ('p', 2),
            ('b', 1),
            ('R', 4),
            ('b', 3),
            ('p', 5),
            ('p', 6),
            ('R', 7),
        ]));
        assert_eq!((facts.count, facts.idr), (3, 1));
        assert_eq!((facts.open, facts.closed), (1, 2));
        assert_eq!(
            (facts.min_frames, facts.median_frames, facts.max_frames),
            (1, 3, 4)
        );
        assert_eq!(facts.before_first, 0);
    }

    #[test]
    fn frames_that_no_decoder_can_begin_with_belong_to_no_group() {
        let facts = GopFacts::of(&frames(&[('p', 0), ('p', 1), ('I', 2)]));
        assert_eq!((facts.before_first, facts.count, facts.max_frames), (2, 1, 1));
        assert_eq!(GopFacts::of(&frames(&[('p', 0)])).before_first, 1);
    }
}
