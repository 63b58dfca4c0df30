use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of [`SpillSnapshot::reads_by_seconds`]: the page cache, an SSD, a disk that has to seek, one that hangs.
pub const READ_SECONDS: [f64; 12] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5,
];

/// Why a sample that was on disk, or should have gone there, was let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// Its checksum is wrong.
    Damaged,
    /// It could not be read.
    Unreadable,
    /// A checkpoint names it, and it is not there.
    Missing,
    /// It could not be written: the disk is full, read-only or broken.
    Unwritable,
    /// No slot was free: kept checkpoints hold what was let go.
    NoSlot,
}

impl LossReason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Damaged,
        Self::Unreadable,
        Self::Missing,
        Self::Unwritable,
        Self::NoSlot,
    ];

    /// For metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
            Self::Unwritable => "unwritable",
            Self::NoSlot => "no_slot",
        }
    }
}

/// The disk's part of replay at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpillSnapshot {
    /// Samples stored there.
    pub samples: usize,
    /// Bytes of the files.
    pub bytes: u64,
    /// Bytes that the files may take.
    pub capacity_bytes: u64,
    /// Samples written since the start of this process.
    pub written: u64,
    /// Reads, by the time that they took: up to each of [`READ_SECONDS`], and longer.
    pub reads_by_seconds: [u64; READ_SECONDS.len() + 1],
    /// Time that reading took, all together.
    pub reading: Duration,
    /// Samples let go, in the order of [`LossReason::ALL`].
    pub lost: [u64; LossReason::ALL.len()],
    /// Writing failed last time: samples that memory has no room for are let go.
    pub stopped: bool,
}

/// What a folder counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub written: AtomicU64,
    reads_by_seconds: [AtomicU64; READ_SECONDS.len() + 1],
    reading_ns: AtomicU64,
}

impl Counts {
    pub fn read(&self, took: Duration) {
        let bucket = READ_SECONDS.partition_point(|bound| took.as_secs_f64() > *bound);
        self.reads_by_seconds[bucket].fetch_add(1, Ordering::Relaxed);
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.reading_ns.fetch_add(ns, Ordering::Relaxed);
    }

    pub fn reads_by_seconds(&self) -> [u64; READ_SECONDS.len() + 1] {
        std::array::from_fn(|bucket| self.reads_by_seconds[bucket].load(Ordering::Relaxed))
    }

    pub fn reading(&self) -> Duration {
        Duration::from_nanos(self.reading_ns.load(Ordering::Relaxed))
    }
}
