use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::config::SlotPlan;
use super::counts::Counts;
use super::segment::{Segment, segments_in};
use super::slots::{Place, Slots};
use super::{SlotPlace, SpillConfig, SpillError, SpillSnapshot, SpilledSample};
use crate::replay::record::{SampleLayout, WrongRecordSize, record_of};
use crate::replay::{LossReason, Sample, SampleHead};
use crate::window::SampleSpec;

const LOCK_FILE: &str = ".lock";
/// As for the checkpoint folder: a lock outlives a killed owner for a moment.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// The folder of segments. Held by one process at a time; shared by its threads.
#[derive(Debug)]
pub struct SpillFolder {
    root: PathBuf,
    plan: SlotPlan,
    sample_bytes: usize,
    capacity_bytes: u64,
    slots: Mutex<Slots>,
    pub(super) counts: Counts,
    _lock: File,
}

impl SpillFolder {
    /// Makes the folder where it is missing, takes its lock and finds its segments. Nothing is written before `begin`.
    ///
    /// # Errors
    /// A folder that cannot be read or written to, or that another process has open.
    pub fn open(root: &Path, config: &SpillConfig, spec: &SampleSpec) -> Result<Arc<Self>, SpillError> {
        let plan = SlotPlan::of(config, spec);
        Self::with_plan(root, plan, config.capacity.as_u64(), Sample::bytes_of(spec))
    }

    /// To read and wipe only: it takes no new samples.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_existing(root: &Path) -> Result<Arc<Self>, SpillError> {
        let plan = SlotPlan {
            record_bytes: 0,
            stride: 1,
            slots: 0,
            segments: 0,
        };
        Self::with_plan(root, plan, 0, 0)
    }

    fn with_plan(
        root: &Path,
        plan: SlotPlan,
        capacity_bytes: u64,
        sample_bytes: usize,
    ) -> Result<Arc<Self>, SpillError> {
        fs::create_dir_all(root).map_err(SpillError::io("create", root))?;
        let root = root.canonicalize().map_err(SpillError::io("read", root))?;
        let lock = take_lock(&root)?;
        let mut slots = Slots::default();
        for (number, stride, path) in segments_in(&root)? {
            let segment = Segment::open(path, stride, true)?;
            slots.take_in(number, Arc::new(segment));
        }
        slots.stale = slots.free.clone();
        Ok(Arc::new(Self {
            root,
            plan,
            sample_bytes,
            capacity_bytes,
            slots: slots.into(),
            counts: Counts::default(),
            _lock: lock,
        }))
    }

    pub(super) fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Memory of one sample of the run's shape.
    pub(crate) fn sample_bytes(&self) -> usize {
        self.sample_bytes
    }

    /// Samples that may be stored here.
    pub(crate) fn usable_slots(&self) -> usize {
        usize::try_from(self.plan.usable()).unwrap_or(usize::MAX)
    }

    /// Takes hold of a sample that a checkpoint names; none where its slot is not there or held already.
    pub(crate) fn adopt(self: &Arc<Self>, head: SampleHead, at: SlotPlace) -> Option<Arc<SpilledSample>> {
        let mut slots = self.slots();
        let segment = slots.segments.get(&at.segment)?.clone();
        if SampleLayout::of(&head.spec).bytes() as u64 > segment.stride {
            return None;
        }
        slots.hold((at.segment, at.slot)).then(|| {
            Arc::new(SpilledSample {
                head,
                at,
                segment,
                folder: self.clone(),
                wipe: false.into(),
            })
        })
    }

    /// From now on what nobody holds may be written over. Files that nobody needs are deleted.
    pub(crate) fn begin(&self) -> Result<(), SpillError> {
        self.delete_empty()
    }

    /// Nothing is written or deleted from now on: who knew the checkpoints' slots is gone.
    pub(crate) fn close(&self) {
        self.slots().closed = true;
    }

    /// Deletes the files of which nobody holds a slot.
    pub(crate) fn delete_empty(&self) -> Result<(), SpillError> {
        let mut slots = self.slots();
        if slots.closed {
            return Ok(());
        }
        let empty = |number: &u64| slots.held.get(number).is_none_or(|held| *held == 0);
        let empty: Vec<u64> = slots.segments.keys().copied().filter(empty).collect();
        for number in empty {
            if let Some(segment) = slots.segments.get(&number) {
                segment.delete()?;
            }
            slots.segments.remove(&number);
            slots.held.remove(&number);
            slots.free.retain(|place| place.0 != number);
            slots.stale.retain(|place| place.0 != number);
            slots.renamed = true;
        }
        Ok(())
    }

    /// Writes a sample into a free slot.
    ///
    /// # Errors
    /// No slot, or a disk that does not take it; nothing has changed then.
    pub fn write(self: &Arc<Self>, sample: &Sample) -> Result<SpilledSample, SpillError> {
        let record = record_of(sample);
        let expected = SampleLayout::of(&sample.spec).bytes();
        if record.len() != expected || expected != self.plan.record_bytes {
            return Err(SpillError::WrongShape(WrongRecordSize {
                expected: self.plan.record_bytes,
                found: record.len(),
            }));
        }
        let (place, segment) = self.take_slot()?;
        // Let go of at once where writing fails.
        let spilled = SpilledSample {
            head: sample.head(),
            at: SlotPlace {
                segment: place.0,
                slot: place.1,
                crc32: crc32fast::hash(&record),
            },
            segment,
            folder: self.clone(),
            wipe: false.into(),
        };
        spilled.segment.write(place.1, &record)?;
        self.counts.written.fetch_add(1, Ordering::Relaxed);
        Ok(spilled)
    }

    fn take_slot(&self) -> Result<(Place, Arc<Segment>), SpillError> {
        let mut slots = self.slots();
        let path = || self.root.clone();
        if slots.closed {
            return Err(SpillError::Closed { path: path() });
        }
        loop {
            let of_this_shape = |slots: &Slots, place: &Place| {
                let segment = slots.segments.get(&place.0);
                segment.is_some_and(|segment| segment.stride == self.plan.stride)
            };
            let found = slots
                .free
                .iter()
                .copied()
                .find(|place| of_this_shape(&slots, place));
            if let Some(place) = found
                && let Some(segment) = slots.segments.get(&place.0).cloned()
            {
                slots.hold(place);
                return Ok((place, segment));
            }
            let bytes: u64 = slots.segments.values().map(|segment| segment.bytes()).sum();
            if bytes + self.plan.stride * u64::from(self.plan.slots) > self.capacity_bytes {
                return Err(SpillError::NoSlot { path: path() });
            }
            // The lowest free number: files come and go for ever.
            let number = (1..).find(|number| !slots.segments.contains_key(number));
            let number = number.unwrap_or(u64::MAX);
            let segment = Segment::create(&self.root, number, self.plan.stride, self.plan.slots)?;
            slots.take_in(number, Arc::new(segment));
            slots.renamed = true;
        }
    }

    /// Puts zeros in the place of all that nobody holds.
    ///
    /// # Errors
    /// A disk that does not take them; what is left stays marked as not wiped.
    pub(crate) fn wipe_free(&self) -> Result<(), SpillError> {
        loop {
            // Held while it is wiped, so that nobody writes there meanwhile.
            let (place, segment) = {
                let mut slots = self.slots();
                let Some(place) = slots.stale.first().copied() else {
                    return Ok(());
                };
                let Some(segment) = slots.segments.get(&place.0).cloned() else {
                    slots.stale.remove(&place);
                    continue;
                };
                slots.hold(place);
                (place, segment)
            };
            let wiped = segment.wipe(place.1);
            self.slots().let_go(place, wiped.is_err());
            wiped?;
        }
    }

    /// Brings all that was written to the disk itself, names included.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn sync(&self) -> Result<(), SpillError> {
        let (segments, renamed) = {
            let mut slots = self.slots();
            let segments: Vec<_> = slots.segments.values().cloned().collect();
            (segments, std::mem::take(&mut slots.renamed))
        };
        for segment in segments {
            segment.sync()?;
        }
        if renamed {
            let synced = File::open(&self.root).and_then(|folder| folder.sync_all());
            synced.map_err(|error| {
                self.slots().renamed = true;
                SpillError::io("sync", &self.root)(error)
            })?;
        }
        Ok(())
    }

    /// Its figures; what the table knows is left at nothing.
    pub(crate) fn snapshot(&self) -> SpillSnapshot {
        let bytes = self
            .slots()
            .segments
            .values()
            .map(|segment| segment.bytes())
            .sum();
        SpillSnapshot {
            samples: 0,
            bytes,
            capacity_bytes: self.capacity_bytes,
            written: self.counts.written.load(Ordering::Relaxed),
            reads_by_seconds: self.counts.reads_by_seconds(),
            reading: self.counts.reading(),
            lost: [0; LossReason::ALL.len()],
            stopped: false,
        }
    }
}

fn take_lock(root: &Path) -> Result<File, SpillError> {
    let path = root.join(LOCK_FILE);
    let lock = File::create(&path).map_err(SpillError::io("write", &path))?;
    let give_up = Instant::now() + LOCK_PATIENCE;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => std::thread::sleep(LOCK_RETRY),
            Err(TryLockError::WouldBlock) => {
                return Err(SpillError::InUse {
                    path: root.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(SpillError::io("lock", path)(error)),
        }
    }
}
