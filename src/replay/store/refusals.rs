use std::time::Duration;

#[cfg(doc)]
use super::Replay;

/// Why a sample was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsertRefused {
    /// The limiter holds inserts back until more is trained. Only [`Replay::promise`] and [`Replay::try_insert`] say so.
    #[error("training is behind: replay takes no sample now")]
    TrainerBehind,
    /// Samples are not written to disk as fast as they come. Said by the same.
    #[error("writing to disk is behind: memory has no room for a sample now")]
    SpillBehind,
    /// The eviction policy preferred what is stored.
    #[error("the eviction policy kept the stored samples instead")]
    NotKept,
    /// It would not fit alone.
    #[error("a sample of {bytes} bytes does not fit replay.capacity = {capacity_bytes} bytes")]
    LargerThanReplay {
        /// Memory that the sample holds.
        bytes: usize,
        /// Memory that all samples may hold.
        capacity_bytes: usize,
    },
    /// [`Replay::close`] was called.
    #[error("replay is closed")]
    Closed,
}

/// Why there is no batch.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoBatch {
    /// Sources were behind all the time.
    #[error("no batch within {waited:?}: sources are behind training")]
    TimedOut {
        /// The patience given.
        waited: Duration,
    },
    /// All sources have ended and what they gave was trained on as often as configured.
    #[error(
        "all sources have ended; their {inserted} samples, of which {stored} are stored, were drawn {sampled} times, and \
         replay.final_samples_per_insert = {limit} allows no further batch of {batch}"
    )]
    Exhausted {
        /// Samples taken.
        inserted: u64,
        /// Samples stored.
        stored: usize,
        /// Samples given out.
        sampled: u64,
        /// The limit in force.
        limit: f64,
        /// Samples asked for.
        batch: usize,
    },
    /// All sources have ended and gave less than a batch.
    #[error("all sources have ended and gave {stored} samples; a batch needs {batch}")]
    TooFewSamples {
        /// Samples stored.
        stored: usize,
        /// Samples asked for.
        batch: usize,
    },
    /// The capacity does not hold one batch.
    #[error("replay.capacity = {capacity_bytes} bytes holds {stored} samples; a batch needs {batch}")]
    CapacityBelowBatch {
        /// Samples that fit.
        stored: usize,
        /// Samples asked for.
        batch: usize,
        /// Memory that all samples may hold.
        capacity_bytes: usize,
    },
    /// More than the limiter was made for.
    #[error("a batch of {batch} was asked for; this replay was made for batches of 1 to {largest_batch}")]
    WrongBatchSize {
        /// Samples asked for.
        batch: usize,
        /// What [`Replay::new`] was told.
        largest_batch: usize,
    },
    /// [`Replay::close`] was called.
    #[error("replay is closed")]
    Closed,
}
