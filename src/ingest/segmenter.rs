use std::{fmt, time::Duration};

/// Why a segment ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentEndReason {
    /// The demuxer announced another format.
    NewFormat,
    /// The demuxer or the network lost something.
    Discontinuity,
    /// Time stamps jumped.
    TimeJump {
        /// From this time, in nanoseconds.
        from_ns: u64,
        /// To this time, in nanoseconds.
        to_ns: u64,
    },
    /// The file, or the whole source, came to its end.
    EndOfSource,
    /// Units of a live stream were shed.
    Shed,
    /// The source failed; the text says why.
    Interrupted(String),
    /// The stream was told to stop: the video itself went on.
    Stopped,
}

impl fmt::Display for SegmentEndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewFormat => f.write_str("new format"),
            Self::Discontinuity => f.write_str("discontinuity"),
            Self::TimeJump { from_ns, to_ns } => {
                let seconds = |ns: u64| ns as f64 / 1e9;
                write!(
                    f,
                    "time stamps jump from {:.3} s to {:.3} s",
                    seconds(*from_ns),
                    seconds(*to_ns)
                )
            }
            Self::EndOfSource => f.write_str("end of source"),
            Self::Shed => f.write_str("units were shed"),
            Self::Interrupted(why) => f.write_str(why),
            Self::Stopped => f.write_str("told to stop"),
        }
    }
}

/// What is known of a unit's continuity with the one before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Continuity {
    /// The format differs from the last unit's.
    pub new_format: bool,
    /// GStreamer marks a discontinuity, or began a new time segment.
    pub discontinuity: bool,
    /// Presentation time.
    pub pts_ns: Option<u64>,
    /// Decoding time.
    pub dts_ns: Option<u64>,
}

/// Numbers the segments of a stream: says with which unit a new one begins, and why.
///
/// Segment numbers rise by one and never restart while the stream lives.
#[derive(Debug)]
pub(super) struct Segmenter {
    time_jump_ns: u64,
    segment: u64,
    /// Units in the current segment.
    units: u64,
    /// The last decoding time, or without those the latest presentation time, and which of the two it is.
    last: Option<(u64, Timing)>,
    /// Set where the next unit cannot continue the current segment.
    cut: Option<SegmentEndReason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timing {
    Decoding,
    Presentation,
}

/// A segment that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EndedSegment {
    pub segment: u64,
    pub reason: SegmentEndReason,
}

impl Segmenter {
    pub fn new(time_jump: Duration) -> Self {
        Self {
            time_jump_ns: u64::try_from(time_jump.as_nanos()).unwrap_or(u64::MAX),
            segment: 0,
            units: 0,
            last: None,
            cut: None,
        }
    }

    /// Gives the first segment another number than 0.
    pub fn number_from(&mut self, segment: u64) {
        self.segment = segment;
    }

    /// The current segment's number.
    pub fn segment(&self) -> u64 {
        self.segment
    }

    /// Takes note of the next unit. If it begins a new segment, the one that ended is returned.
    pub fn next(&mut self, unit: Continuity) -> Option<EndedSegment> {
        let reason = self.cut.take().or_else(|| match unit {
            _ if self.units == 0 => None,
            unit if unit.new_format => Some(SegmentEndReason::NewFormat),
            unit if unit.discontinuity => Some(SegmentEndReason::Discontinuity),
            unit => self.jump(unit),
        });
        let ended = reason.and_then(|reason| self.end(reason));
        self.units += 1;
        self.last = match (unit.dts_ns, unit.pts_ns, self.last) {
            (Some(dts_ns), _, _) => Some((dts_ns, Timing::Decoding)),
            // B frames put presentation times out of order: the latest counts.
            (None, Some(pts_ns), Some((last_ns, Timing::Presentation))) => {
                Some((pts_ns.max(last_ns), Timing::Presentation))
            }
            (None, Some(pts_ns), _) => Some((pts_ns, Timing::Presentation)),
            (None, None, last) => last,
        };
        ended
    }

    /// Whatever comes next, it does not continue the current segment, which stays open until then.
    pub fn cut(&mut self, reason: SegmentEndReason) {
        if self.units > 0 && self.cut.is_none() {
            self.cut = Some(reason);
        }
    }

    /// Ends the current segment now. None if it has no units.
    pub fn end(&mut self, reason: SegmentEndReason) -> Option<EndedSegment> {
        self.last = None;
        self.cut = None;
        if self.units == 0 {
            return None;
        }
        let ended = EndedSegment {
            segment: self.segment,
            reason,
        };
        self.units = 0;
        self.segment += 1;
        Some(ended)
    }

    fn jump(&self, unit: Continuity) -> Option<SegmentEndReason> {
        let (from_ns, timing) = self.last?;
        let to_ns = match timing {
            Timing::Decoding => unit.dts_ns?,
            Timing::Presentation => unit.pts_ns?,
        };
        (from_ns.abs_diff(to_ns) > self.time_jump_ns).then_some(SegmentEndReason::TimeJump { from_ns, to_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(pts_s: u64) -> Continuity {
        Continuity {
            pts_ns: Some(pts_s * SECOND),
            ..Continuity::default()
        }
    }

    fn segmenter() -> Segmenter {
        Segmenter::new(Duration::from_secs(2))
    }

    #[test]
    fn a_jump_either_way_ends_the_segment_and_reordering_does_not() {
        let mut segmenter = segmenter();
        for pts_s in [10, 12, 11, 13, 12, 14] {
            assert_eq!(segmenter.next(at(pts_s)), None, "{pts_s}");
        }
        let ended = segmenter.next(at(17)).unwrap();
        assert_eq!(ended.segment, 0);
        let (from_ns, to_ns) = (14 * SECOND, 17 * SECOND);
        assert_eq!(ended.reason, SegmentEndReason::TimeJump { from_ns, to_ns });
        assert_eq!(segmenter.next(at(3)).unwrap().segment, 1);
        assert_eq!(segmenter.segment(), 2);
    }

    #[test]
    fn decoding_times_count_before_presentation_times() {
        let mut segmenter = segmenter();
        let unit = |dts_s: u64, pts_s: u64| Continuity {
            dts_ns: Some(dts_s * SECOND),
            ..at(pts_s)
        };
        assert_eq!(segmenter.next(unit(1, 1)), None);
        assert_eq!(segmenter.next(unit(2, 9)), None);
        assert_eq!(segmenter.next(unit(3, 3)), None);
        assert!(segmenter.next(unit(9, 9)).is_some());
    }

    #[test]
    fn units_without_times_stay_in_their_segment() {
        let mut segmenter = segmenter();
        assert!((0..5).all(|_| segmenter.next(Continuity::default()).is_none()));
        assert_eq!(segmenter.segment(), 0);
    }

    #[test]
    fn format_and_discontinuity_end_a_segment_but_never_an_empty_one() {
        let mut segmenter = segmenter();
        let broken = Continuity {
            discontinuity: true,
            new_format: true,
            ..at(0)
        };
        assert_eq!(segmenter.next(broken), None);
        assert_eq!(
            segmenter.next(broken).unwrap().reason,
            SegmentEndReason::NewFormat
        );
        let lost = Continuity {
            new_format: false,
            ..broken
        };
        assert_eq!(
            segmenter.next(lost).unwrap().reason,
            SegmentEndReason::Discontinuity
        );
        assert_eq!(segmenter.end(SegmentEndReason::EndOfSource).unwrap().segment, 2);
        assert_eq!(segmenter.end(SegmentEndReason::EndOfSource), None);
        assert_eq!(segmenter.next(lost), None);
        assert_eq!(segmenter.segment(), 3);
    }

    #[test]
    fn the_first_reason_of_a_cut_counts() {
        let mut segmenter = segmenter();
        segmenter.cut(SegmentEndReason::Shed);
        assert_eq!(segmenter.next(at(0)), None, "nothing was cut off");
        segmenter.cut(SegmentEndReason::Shed);
        segmenter.cut(SegmentEndReason::Discontinuity);
        assert_eq!(segmenter.next(at(90)).unwrap().reason, SegmentEndReason::Shed);
    }
}
