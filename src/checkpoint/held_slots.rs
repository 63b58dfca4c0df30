use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};

use super::folder::list;
use super::manifest::SAMPLES_FILE;
use super::sample_index::SampleIndex;
use super::{CheckpointError, CheckpointFolder, load};
use crate::replay::{
    ReplayContent, SampleHead, SlotPlace, SpillFolder, SpillReader, SpilledSample, StoredSample,
};

/// By their ids.
type Held = HashMap<u64, Arc<SpilledSample>>;

/// The samples in replay's folder of slots that snapshots name. While they are held, nothing is written over them.
#[derive(Debug)]
pub(super) struct HeldSlots {
    folder: Arc<SpillFolder>,
    by_step: BTreeMap<u64, Held>,
}

impl Drop for HeldSlots {
    fn drop(&mut self) {
        // Before they are let go of: the snapshots still name them.
        self.folder.close();
    }
}

/// Replay's folder of slots, as an index names it.
pub(super) fn spill_root(index: &SampleIndex, root: &Path) -> Option<PathBuf> {
    index.spill.as_ref().map(|spill| root.join(spill))
}

/// Reads an index's samples that are in slots, and gives each, or why it is not to be had.
pub(super) fn read_slots(
    index: &SampleIndex,
    root: &Path,
    index_path: &Path,
    each: &mut dyn FnMut(
        Result<crate::replay::Sample, crate::replay::SpillError>,
    ) -> Result<(), CheckpointError>,
) -> Result<(), CheckpointError> {
    let Some((spec, spill)) = index.spec.zip(spill_root(index, root)) else {
        return Ok(());
    };
    let reader = SpillReader::open(&spill);
    for indexed in &index.samples {
        let Some(at) = indexed.at.in_slot() else {
            continue;
        };
        let head = indexed.head(spec, index_path)?;
        each(match &reader {
            Ok(reader) => reader.read(&head, at),
            Err(_) => Err(crate::replay::SpillError::NoSegment {
                path: spill.clone(),
                segment: at.segment,
            }),
        })?;
    }
    Ok(())
}

impl CheckpointFolder {
    pub(super) fn held(&self) -> MutexGuard<'_, Option<HeldSlots>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes hold of what the snapshots name in replay's folder of slots; all else there may be written over from now on, until this
    /// folder is dropped.
    ///
    /// # Errors
    /// An index or the folder cannot be read, or what nobody needs cannot be deleted.
    pub fn hold_slots(&self, folder: Arc<SpillFolder>) -> Result<(), CheckpointError> {
        self.take_hold(&folder)?;
        Ok(folder.begin()?)
    }

    /// As [`Self::hold_slots`], and everything else stays as it is.
    pub(super) fn take_hold(&self, folder: &Arc<SpillFolder>) -> Result<(), CheckpointError> {
        let mut by_step = BTreeMap::new();
        let mut known: HashMap<SlotPlace, Arc<SpilledSample>> = HashMap::new();
        for one in list(self.root())? {
            let index_path = one.path.join(SAMPLES_FILE);
            let Some(index) = load::sample_index(&one.path)? else {
                continue;
            };
            let is_there = |spill: PathBuf| spill.canonicalize().is_ok_and(|path| path == folder.root());
            let (Some(spec), true) = (index.spec, spill_root(&index, self.root()).is_some_and(is_there))
            else {
                continue;
            };
            let mut held = Held::new();
            for indexed in &index.samples {
                let Some(at) = indexed.at.in_slot() else {
                    continue;
                };
                let head: SampleHead = indexed.head(spec, &index_path)?;
                let spilled = known.get(&at).cloned().or_else(|| folder.adopt(head, at));
                if let Some(spilled) = spilled {
                    known.insert(at, spilled.clone());
                    held.insert(indexed.id, spilled);
                }
            }
            by_step.insert(one.step, held);
        }
        *self.held() = Some(HeldSlots {
            folder: folder.clone(),
            by_step,
        });
        Ok(())
    }

    /// A snapshot's samples in slots that are still there.
    pub(super) fn held_of(&self, step: u64) -> Vec<StoredSample> {
        let held = self.held();
        let of_step = held.as_ref().and_then(|held| held.by_step.get(&step));
        let samples = of_step.into_iter().flat_map(HashMap::values);
        samples.cloned().map(StoredSample::Disk).collect()
    }

    /// What a snapshot is about to name, on the disk itself; and the name of its folder for the index.
    pub(super) fn sync_slots(&self, content: &ReplayContent) -> Result<Option<PathBuf>, CheckpointError> {
        let spilled = content.samples.iter().find_map(|sample| match sample {
            StoredSample::Disk(spilled) => Some(spilled),
            StoredSample::Memory(_) => None,
        });
        let Some(folder) = spilled.map(|spilled| spilled.folder()) else {
            return Ok(None);
        };
        folder.sync()?;
        let root = self
            .root()
            .canonicalize()
            .unwrap_or_else(|_| self.root().to_owned());
        let spill = folder.root();
        Ok(Some(spill.strip_prefix(root).unwrap_or(spill).to_owned()))
    }

    /// A snapshot is in place: what it names is held from now on.
    pub(super) fn hold_snapshot(&self, step: u64, content: &ReplayContent) {
        let named = content.samples.iter().filter_map(|sample| match sample {
            StoredSample::Disk(spilled) => Some((sample.id().0, spilled.clone())),
            StoredSample::Memory(_) => None,
        });
        if let Some(held) = &mut *self.held() {
            held.by_step.insert(step, named.collect());
        }
    }

    /// Lets go of all that is not of these snapshots.
    pub(super) fn hold_only(&self, steps: &BTreeSet<u64>) -> Result<(), CheckpointError> {
        let Some(held) = &mut *self.held() else {
            return Ok(());
        };
        held.by_step.retain(|step, _| steps.contains(step));
        Ok(held.folder.delete_empty()?)
    }

    /// Lets go of a stream's samples in a snapshot that does not name them any more: their bytes are wiped with the last holder.
    pub(super) fn let_slots_go(&self, step: u64, stream: &str) {
        if let Some(held) = &mut *self.held()
            && let Some(of_step) = held.by_step.get_mut(&step)
        {
            of_step.retain(|_, spilled| {
                let stays = spilled.head().stream.as_str() != stream;
                if !stays {
                    spilled.wipe_when_free();
                }
                stays
            });
        }
    }

    /// Wipes what nobody holds in the folders of slots that snapshots name. Where no run is attached they are opened for that.
    pub(super) fn wipe_free_slots(&self) -> Result<(), CheckpointError> {
        match &*self.held() {
            Some(held) => {
                held.folder.wipe_free()?;
                Ok(held.folder.delete_empty()?)
            }
            None => Ok(()),
        }
    }

    /// Takes hold of the folder of slots that the snapshots name, where no run has given one.
    pub(super) fn open_slots(&self) -> Result<(), CheckpointError> {
        if self.held().is_some() {
            return Ok(());
        }
        let mut roots = BTreeSet::new();
        for one in list(self.root())? {
            let index = load::sample_index(&one.path)?;
            roots.extend(index.and_then(|index| spill_root(&index, self.root())));
        }
        // One, unless it was moved while older snapshots still name the one before.
        for root in roots.into_iter().filter(|root| root.is_dir()).take(1) {
            self.take_hold(&SpillFolder::open_existing(&root)?)?;
        }
        Ok(())
    }
}
