use super::{Replay, unix_now_ns};
use crate::ingest::StreamName;
use crate::replay::{SpillError, StoredSample};

impl Replay {
    /// Lets all samples of a stream go, those that wait for their turn too; returns how many. One still under way is not kept either:
    /// only what begins after this moment is taken as before. On disk their bytes are wiped when the last checkpoint that names them lets go, at once where none does: a place that
    /// was free before may hold some too, so all of these are wiped.
    ///
    /// # Errors
    /// The disk does not take the zeros. The samples are gone from replay even so.
    pub fn forget(&self, stream: &StreamName) -> Result<u64, SpillError> {
        let mut inner = self.lock();
        let mut gone = Vec::new();
        for id in inner.table.ids_of(stream) {
            gone.extend(inner.table.remove(id));
        }
        inner.forgotten_until.insert(stream.clone(), unix_now_ns());
        let parked = inner.arrivals.forget_parked(stream);
        let stored = inner.table.len();
        inner.limiter.lost(stored);
        drop(inner);
        self.drawn.notify_all();
        for sample in &gone {
            if let StoredSample::Disk(spilled) = sample {
                spilled.wipe_when_free();
            }
        }
        let count = (gone.len() + parked) as u64;
        drop(gone);
        match self.spill_folder() {
            Some(folder) => folder.wipe_free().map(|()| count),
            None => Ok(count),
        }
    }
}
