use std::fs;
use std::path::Path;

use super::folder::{Listed, PARTIAL, hidden, list};
use super::manifest::{Manifest, SAMPLES_FILE};
use super::write::{write_listed, write_manifest};
use super::{CheckpointError, CheckpointFolder, Forgotten, load, retention, sample_packs};

/// What was done to forget a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgot {
    /// Samples that were deleted from replay's content on disk.
    pub samples: u64,
    /// Steps of the snapshots that had learned from the stream, and say so now.
    pub marked: Vec<u64>,
}

impl CheckpointFolder {
    /// Deletes a stream's samples, those in replay's folder of slots too, and marks the snapshots that learned from it. Each is replaced by a changed copy of itself, whole,
    /// so that its manifest holds and a kill at any moment leaves the one or the other.
    ///
    /// What was learned stays in the networks, and the disk may still hold the bytes of deleted files until it uses their place again;
    /// slots are wiped.
    ///
    /// # Errors
    /// Whatever the file system refuses. Snapshots done by then stay so; to do it again does the rest.
    pub fn forget(&self, stream: &str, now_unix: u64) -> Result<Forgot, CheckpointError> {
        let mut forgot = Forgot::default();
        self.open_slots()?;
        for one in list(self.root())? {
            let Listed {
                step, path, manifest, ..
            } = one;
            forgot.samples += self.forget_in(step, &path, manifest?, stream, now_unix, &mut forgot.marked)?;
        }
        self.collect_packs()?;
        self.wipe_free_slots()?;
        Ok(forgot)
    }

    fn forget_in(
        &self,
        step: u64,
        path: &Path,
        mut manifest: Manifest,
        stream: &str,
        at_unix: u64,
        marked: &mut Vec<u64>,
    ) -> Result<u64, CheckpointError> {
        let samples_taken = manifest.provenance[stream]["samples"].as_u64().unwrap_or(0);
        let index = load::sample_index(path)?;
        let held = index.as_ref().map_or(0, |index| {
            let of_stream = index.samples.iter().filter(|sample| sample.stream == stream);
            of_stream.count() as u64
        });
        if samples_taken == 0 && held == 0 {
            return Ok(0);
        }
        let partial = hidden(self.root(), step, PARTIAL);
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(CheckpointError::io("delete", &partial))?;
        }
        fs::create_dir(&partial).map_err(CheckpointError::io("create", &partial))?;
        for file in &manifest.files {
            let (from, to) = (path.join(&file.name), partial.join(&file.name));
            // The same file under a second name; where the file system has none, a copy.
            fs::hard_link(&from, &to)
                .or_else(|_| fs::copy(&from, &to).and_then(|_| fs::File::open(&to)?.sync_all()))
                .map_err(CheckpointError::io("copy", from))?;
        }
        if let Some(index) = index {
            let index_path = path.join(SAMPLES_FILE);
            let left = sample_packs::without(&self.packs(), &index, &index_path, |sample| {
                sample.stream != stream
            })?;
            let text = serde_json::to_vec(&left).map_err(|error| CheckpointError::Manifest {
                path: index_path,
                reason: error.to_string(),
            })?;
            manifest.samples = Some(write_listed(&partial, SAMPLES_FILE, &text)?);
        }
        if retention::is_pinned(path) {
            retention::set_pin(&partial, true)?;
        }
        manifest.forgotten.retain(|one| one.stream != stream);
        manifest.forgotten.push(Forgotten {
            stream: stream.to_owned(),
            at_unix,
            samples_taken,
        });
        write_manifest(&partial, &manifest)?;
        self.put_in_place(&partial, step)?;
        self.clear_replaced(step)?;
        self.let_slots_go(step, stream);
        marked.push(step);
        Ok(held)
    }
}
