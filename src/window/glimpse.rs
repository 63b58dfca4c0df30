use std::sync::Arc;

use bytes::Bytes;

use crate::ingest::{AccessUnit, VideoFormat};

/// Predicted pictures after the key frame: enough to see motion, few enough to be cheap.
const FOLLOWING: usize = 4;
/// A glimpse holds no more; a longer one ends early.
const BYTES_MAX: usize = 4 << 20;

/// A stream's newest key frame and the predicted pictures that follow it, still compressed: what people get to see of it.
///
/// It costs a scout a few reference counts a second; whoever looks decodes. Its bytes are the access units' own, without
/// credit, 4 MiB a stream at most.
#[derive(Clone, Debug)]
pub struct Glimpse {
    /// The format that its decoder wants.
    pub format: Arc<VideoFormat>,
    /// Number of the key frame's access unit in the stream.
    pub index: u64,
    /// When the key frame arrived, nanoseconds since the Unix epoch.
    pub arrival_unix_ns: u64,
    /// The key frame, Annex B.
    pub key_frame: Bytes,
    /// The access units after it, in decoding order.
    pub following: Vec<Bytes>,
}

/// Gathers glimpses: a new one from each key frame on.
#[derive(Debug, Default)]
pub(super) struct GlimpseTaker(Option<Glimpse>);

impl GlimpseTaker {
    /// An access unit came, `random_access` if decoding can start at it. A glimpse that it completes, or ends.
    pub fn take(&mut self, unit: &AccessUnit, random_access: bool) -> Option<Glimpse> {
        if random_access {
            let new = Glimpse {
                format: unit.format.clone(),
                index: unit.index,
                arrival_unix_ns: unit.arrival_unix_ns,
                key_frame: unit.data.clone(),
                following: Vec::with_capacity(FOLLOWING),
            };
            // Where all are key frames nothing ever follows.
            return self.0.replace(new);
        }
        let glimpse = self.0.as_mut()?;
        glimpse.following.push(unit.data.clone());
        let bytes = |glimpse: &Glimpse| {
            let following: usize = glimpse.following.iter().map(Bytes::len).sum();
            glimpse.key_frame.len() + following
        };
        if glimpse.following.len() == FOLLOWING || bytes(glimpse) > BYTES_MAX {
            return self.0.take();
        }
        None
    }

    /// What follows belongs to another segment.
    pub fn interrupt(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{ByteBudget, Ledger};

    fn unit(index: u64, bytes: usize) -> AccessUnit {
        let format = VideoFormat {
            caps: String::new(),
            place: String::new(),
            width: 16,
            height: 16,
            frame_rate: (25, 1),
            file: None,
        };
        let ledger = Ledger::new();
        AccessUnit {
            data: Bytes::from(vec![0; bytes]),
            segment: 0,
            index,
            pts_ns: None,
            dts_ns: None,
            arrival_unix_ns: index,
            key_unit: false,
            format: Arc::new(format),
            credit: ByteBudget::new(BYTES_MAX * 2).try_acquire(bytes).unwrap(),
            receipt: ledger.receive(bytes),
        }
    }

    #[test]
    fn a_glimpse_is_a_key_frame_and_a_few_pictures_after_it() {
        let mut taker = GlimpseTaker::default();
        assert!(taker.take(&unit(0, 9), false).is_none(), "no key frame yet");
        let taken: Vec<_> = (1..=9)
            .filter_map(|index| taker.take(&unit(index, 9), index == 1))
            .collect();
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].index, taken[0].following.len()), (1, FOLLOWING));
    }

    #[test]
    fn key_frames_alone_give_glimpses_without_motion_and_large_pictures_short_ones() {
        let mut taker = GlimpseTaker::default();
        assert!(taker.take(&unit(0, 9), true).is_none());
        let alone = taker.take(&unit(1, 9), true).unwrap();
        assert_eq!((alone.index, alone.following.len()), (0, 0));
        let short = taker.take(&unit(2, BYTES_MAX), false).unwrap();
        assert_eq!((short.index, short.following.len()), (1, 1));
        taker.take(&unit(3, 9), true);
        taker.interrupt();
        assert!((4..20).all(|index| taker.take(&unit(index, 9), false).is_none()));
    }
}
