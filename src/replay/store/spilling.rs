use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::{Inner, Replay};
use crate::ingest::StreamName;
use crate::replay::{
    LossReason, Sample, SampleId, SpillError, SpillFolder, SpillSnapshot, SpilledSample, StoredSample,
};

/// After a write that failed, samples are let go for so long before another one is tried.
const RETRY: Duration = Duration::from_secs(30);

/// The disk's side of a replay.
pub(super) struct Spilling {
    folder: Arc<SpillFolder>,
    lost: [u64; LossReason::ALL.len()],
    /// Writing failed then.
    failed_at: Option<Instant>,
}

impl Spilling {
    pub fn new(folder: Arc<SpillFolder>) -> Self {
        Self {
            folder,
            lost: [0; LossReason::ALL.len()],
            failed_at: None,
        }
    }
}

/// What became of one sample that was to go to disk.
type Written = Result<Arc<SpilledSample>, SpillError>;

impl Replay {
    /// Writes samples to disk as memory fills, until replay is closed. For a thread of its own; without a folder it returns at
    /// once. In a fixed order, whoever draws does it instead.
    pub fn keep_spilling(&self) {
        let mut inner = self.lock();
        if inner.spilling.is_none() {
            return;
        }
        while !inner.closed {
            drop(inner);
            let spilled = self.spill_one();
            inner = self.lock();
            if !spilled && !inner.closed && inner.table.to_spill().is_none() {
                inner = self.stored.wait(inner).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Brings the oldest sample in memory to disk, if memory is getting full; false if it is not. Not to be called by two
    /// threads at once.
    pub fn spill_one(&self) -> bool {
        let mut inner = self.lock();
        let Some((sample, folder)) = inner.next_to_spill() else {
            return false;
        };
        let Some(folder) = folder else {
            inner.settle_spill(sample.id, None);
            drop(inner);
            self.drawn.notify_all();
            return true;
        };
        drop(inner);
        let written = folder.write(&sample).map(Arc::new);
        let freed = self.lock().settle_spill(sample.id, Some(written));
        self.drawn.notify_all();
        // Freed outside the lock.
        drop((freed, sample));
        true
    }

    /// The folder beside it.
    pub fn spill_folder(&self) -> Option<Arc<SpillFolder>> {
        let inner = self.lock();
        inner.spilling.as_ref().map(|spilling| spilling.folder.clone())
    }

    /// A sample that was drawn could not be read.
    pub(super) fn lost_on_disk(&self, id: SampleId, error: &SpillError) {
        let reason = match error {
            SpillError::Damaged { .. } => LossReason::Damaged,
            _ => LossReason::Unreadable,
        };
        tracing::error!(id = id.0, %error, "a sample of replay on disk is lost");
        let gone = self.lock().lose(id, reason);
        self.drawn.notify_all();
        drop(gone);
    }

    /// A stored sample, read where it is on disk; none where it is gone, or cannot be had, in which case it goes.
    pub fn get(&self, id: SampleId) -> Option<Arc<Sample>> {
        let stored = self.lock().table.get(id).cloned();
        self.fetch(&stored?)
    }

    pub(in crate::replay) fn fetch(&self, stored: &StoredSample) -> Option<Arc<Sample>> {
        stored
            .load()
            .map_err(|error| self.lost_on_disk(stored.id(), &error))
            .ok()
    }

    /// The newest stored sample of a stream.
    pub fn newest(&self, stream: &StreamName) -> Option<Arc<Sample>> {
        let stored = self.lock().table.newest_of(stream).cloned();
        self.fetch(&stored?)
    }
}

impl Inner {
    /// Whether a sample may come now: training is not behind, and memory has room where it cannot be made at once.
    pub(super) fn may_take(&self) -> bool {
        self.limiter.may_insert_beside(self.promised, 0) && self.has_memory()
    }

    /// Whether memory has room for another sample beside those promised.
    pub(super) fn has_memory(&self) -> bool {
        let spilling = self.spilling.as_ref();
        let bytes = |one: usize| one.saturating_mul(1 + self.promised);
        spilling.is_none_or(|spilling| self.table.has_memory_for(bytes(spilling.folder.sample_bytes())))
    }

    /// The next sample for the disk, and the folder; no folder where the disk has failed a moment ago.
    fn next_to_spill(&self) -> Option<(Arc<Sample>, Option<Arc<SpillFolder>>)> {
        let spilling = self.spilling.as_ref()?;
        let sample = self.table.to_spill()?.clone();
        let rests = spilling.failed_at.is_some_and(|at| at.elapsed() < RETRY);
        Some((sample, (!rests).then(|| spilling.folder.clone())))
    }

    /// Books what became of a sample on its way to disk, `None` being that nobody tried; gives back what is not needed any more.
    fn settle_spill(&mut self, id: SampleId, written: Option<Written>) -> Option<StoredSample> {
        let error = match written {
            Some(Ok(spilled)) => {
                if let Some(spilling) = &mut self.spilling
                    && spilling.failed_at.take().is_some()
                {
                    tracing::info!("samples of replay are written to disk again");
                }
                let on_disk = spilled.clone();
                let freed = self.table.spilled(spilled);
                if matches!(freed, Some(StoredSample::Disk(_))) {
                    // It went meanwhile, perhaps because it is to be forgotten.
                    on_disk.wipe_when_free();
                }
                return freed;
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        if self.closed {
            // It stays in memory, for the last checkpoint.
            return None;
        }
        let reason = match error {
            Some(SpillError::NoSlot { .. }) => LossReason::NoSlot,
            _ => LossReason::Unwritable,
        };
        // At a run's end the folder closes first.
        let error = error.filter(|error| !matches!(error, SpillError::Closed { .. }));
        if let (Some(error), Some(spilling)) = (error, &mut self.spilling)
            && reason == LossReason::Unwritable
            && spilling.failed_at.replace(Instant::now()).is_none()
        {
            tracing::error!(%error, "samples of replay cannot be written to disk: training goes on with those in memory");
        }
        self.lose(id, reason)
    }

    /// Lets a sample go, and counts why.
    pub(super) fn lose(&mut self, id: SampleId, reason: LossReason) -> Option<StoredSample> {
        let gone = self.table.remove(id)?;
        self.count_lost(reason, 1);
        self.limiter.lost(self.table.len());
        Some(gone)
    }

    pub(super) fn count_lost(&mut self, reason: LossReason, samples: u64) {
        if let Some(spilling) = &mut self.spilling
            && let Some(at) = LossReason::ALL.iter().position(|one| *one == reason)
        {
            spilling.lost[at] += samples;
        }
    }

    /// In a fixed order: makes room in memory, on the thread that draws and with the lock held, since nobody else may take a sample
    /// meanwhile.
    pub(super) fn spill_in_turn(&mut self) {
        while !self.has_memory()
            && let Some((sample, folder)) = self.next_to_spill()
        {
            let written = folder.map(|folder| folder.write(&sample).map(Arc::new));
            self.settle_spill(sample.id, written);
        }
    }

    pub(super) fn spill_snapshot(&self) -> Option<SpillSnapshot> {
        self.spilling.as_ref().map(|spilling| SpillSnapshot {
            samples: self.table.len() - self.table.in_memory(),
            lost: spilling.lost,
            stopped: spilling.failed_at.is_some(),
            ..spilling.folder.snapshot()
        })
    }
}
