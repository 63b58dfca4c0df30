use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU8, Ordering},
};

/// Why an access unit was let go without harm: policy, not loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SkipReason {
    /// It left the window and no sample had asked for it.
    NotChosen,
    /// It came before the first key frame of its segment.
    BeforeKeyFrame,
    /// Its segment ended before a whole sample fitted.
    SegmentTooShort,
    /// Its sample was taken before, by the run that this one goes on from.
    LearnedBefore,
}

/// Why an access unit was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// A live stream found no byte credit: its GOP was shed whole.
    NoCredit,
    /// The replay took no more samples: a live stream's GOP was shed whole.
    ReplayFull,
    /// Every decoder was busy: a live stream's window was shed.
    DecodersBusy,
    /// The bitstream could not be parsed; the error is in the log.
    CorruptBitstream,
    /// The bitstream uses something that comove does not decode; the error is in the log.
    UnsupportedBitstream,
    /// The pictures could not be decoded.
    DecodeFailed,
    /// The program was stopping.
    Stopping,
    /// Nobody settled it: a defect in comove.
    Unsettled,
}

/// What became of an access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It was part of at least one sample that replay took.
    Used,
    /// Left out on purpose.
    Skipped(SkipReason),
    /// Lost.
    Dropped(DropReason),
}

impl Fate {
    /// Every fate, in the order of their codes.
    pub const ALL: [Fate; 13] = [
        Fate::Used,
        Fate::Skipped(SkipReason::NotChosen),
        Fate::Skipped(SkipReason::BeforeKeyFrame),
        Fate::Skipped(SkipReason::SegmentTooShort),
        Fate::Skipped(SkipReason::LearnedBefore),
        Fate::Dropped(DropReason::NoCredit),
        Fate::Dropped(DropReason::ReplayFull),
        Fate::Dropped(DropReason::DecodersBusy),
        Fate::Dropped(DropReason::CorruptBitstream),
        Fate::Dropped(DropReason::UnsupportedBitstream),
        Fate::Dropped(DropReason::DecodeFailed),
        Fate::Dropped(DropReason::Stopping),
        Fate::Dropped(DropReason::Unsettled),
    ];

    fn code(self) -> u8 {
        match self {
            Fate::Used => 0,
            Fate::Skipped(reason) => 1 + reason as u8,
            Fate::Dropped(reason) => 5 + reason as u8,
        }
    }

    /// The reason as a metrics label: `used`, or the reason's name in snake case.
    pub fn label(self) -> &'static str {
        match self {
            Fate::Used => "used",
            Fate::Skipped(SkipReason::NotChosen) => "not_chosen",
            Fate::Skipped(SkipReason::BeforeKeyFrame) => "before_key_frame",
            Fate::Skipped(SkipReason::SegmentTooShort) => "segment_too_short",
            Fate::Skipped(SkipReason::LearnedBefore) => "learned_before",
            Fate::Dropped(DropReason::NoCredit) => "no_credit",
            Fate::Dropped(DropReason::ReplayFull) => "replay_full",
            Fate::Dropped(DropReason::DecodersBusy) => "decoders_busy",
            Fate::Dropped(DropReason::CorruptBitstream) => "corrupt_bitstream",
            Fate::Dropped(DropReason::UnsupportedBitstream) => "unsupported_bitstream",
            Fate::Dropped(DropReason::DecodeFailed) => "decode_failed",
            Fate::Dropped(DropReason::Stopping) => "stopping",
            Fate::Dropped(DropReason::Unsettled) => "unsettled",
        }
    }
}

/// A stream's account of its access units: received = buffered + the sum over all fates, at every instant.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<LedgerSnapshot>>);

/// The account at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerSnapshot {
    /// Access units that left GStreamer.
    pub received: u64,
    /// Bytes that left GStreamer.
    pub received_bytes: u64,
    /// Access units that some stage still holds.
    pub buffered: u64,
    settled: [u64; Fate::ALL.len()],
}

impl LedgerSnapshot {
    /// Access units that met this fate.
    pub fn settled(&self, fate: Fate) -> u64 {
        self.settled[fate.code() as usize]
    }

    /// The identity that must always hold.
    pub fn closes(&self) -> bool {
        self.received == self.buffered + self.settled.iter().sum::<u64>()
    }
}

/// One access unit's entry in its stream's ledger. The last word said with [`Receipt::settle`] before it is dropped counts.
#[derive(Debug)]
pub struct Receipt {
    ledger: Ledger,
    fate: AtomicU8,
}

impl Ledger {
    /// An empty account.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, LedgerSnapshot> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Books an access unit in.
    pub fn receive(&self, bytes: usize) -> Receipt {
        let mut account = self.lock();
        account.received += 1;
        account.received_bytes += bytes as u64;
        account.buffered += 1;
        drop(account);
        Receipt {
            ledger: self.clone(),
            fate: AtomicU8::new(Fate::Dropped(DropReason::Unsettled).code()),
        }
    }

    /// The account now, consistent in itself.
    pub fn snapshot(&self) -> LedgerSnapshot {
        *self.lock()
    }
}

impl Receipt {
    /// Says what becomes of the access unit. [`Fate::Used`] stands once said: a unit that one sample used and a later
    /// window did not want was used.
    pub fn settle(&self, fate: Fate) {
        let used = Fate::Used.code();
        let keep_used = |old: u8| (old != used).then_some(fate.code());
        let _ = self
            .fate
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, keep_used);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let mut account = self.ledger.lock();
        account.buffered -= 1;
        account.settled[usize::from(*self.fate.get_mut())] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_the_list_of_fates_agree() {
        for (code, fate) in Fate::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(fate.code()), code, "{fate:?}");
        }
    }

    #[test]
    fn the_account_closes_whatever_becomes_of_the_units() {
        let ledger = Ledger::new();
        let used = ledger.receive(10);
        let lost = ledger.receive(5);
        let forgotten = ledger.receive(1);
        assert!(ledger.snapshot().closes());
        used.settle(Fate::Used);
        used.settle(Fate::Skipped(SkipReason::NotChosen));
        lost.settle(Fate::Dropped(DropReason::NoCredit));
        drop((used, lost, forgotten));
        let account = ledger.snapshot();
        assert!(account.closes());
        assert_eq!(
            (account.received, account.received_bytes, account.buffered),
            (3, 16, 0)
        );
        assert_eq!(account.settled(Fate::Used), 1);
        assert_eq!(account.settled(Fate::Dropped(DropReason::NoCredit)), 1);
        assert_eq!(account.settled(Fate::Dropped(DropReason::Unsettled)), 1);
    }
}
