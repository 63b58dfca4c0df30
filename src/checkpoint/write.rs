use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::folder::{LATEST, PARTIAL, REPLACED, hidden, list, step_name};
use super::manifest::{
    AVERAGE_FILE, FORMAT_VERSION, FileEntry, MANIFEST_FILE, MODEL_FILE, Manifest, OPTIMIZER_FILE,
    REPLAY_FILE, SAMPLES_FILE, STATE_FILE, STATISTICS_FILE, sha256,
};
use super::tensor_file::{NamedTensor, encode};
use super::{CheckpointError, CheckpointFolder, Forgotten, retention};
use crate::model::ModelConfig;
use crate::replay::ReplayContent;

/// Everything that a snapshot holds, in host memory.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Training steps behind it.
    pub step: u64,
    /// When it was taken, seconds since the Unix epoch.
    pub created_unix: u64,
    /// The networks.
    pub model_config: ModelConfig,
    /// Parameters and statistics.
    pub model: Vec<NamedTensor>,
    /// The moving average of the V-Network; empty where training keeps none.
    pub average: Vec<NamedTensor>,
    /// The optimiser's state.
    pub optimizer: Vec<NamedTensor>,
    /// Figures under way, for the reports to come.
    pub statistics: Vec<NamedTensor>,
    /// Counters, schedule and random generator, as JSON.
    pub state: String,
    /// The resolved configuration, as TOML.
    pub config: String,
    /// The last report.
    pub metrics: serde_json::Value,
    /// What was learned from.
    pub provenance: serde_json::Value,
    /// Replay, where the run has one that is kept.
    pub replay: Option<ReplayContent>,
    /// Whether replay's samples are written too, or only its figures and the streams' places.
    pub save_samples: bool,
    /// Streams that were forgotten since they were learned from.
    pub forgotten: Vec<Forgotten>,
}

/// A snapshot on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its folder.
    pub path: PathBuf,
    /// Training steps behind it.
    pub step: u64,
    /// When it was taken, seconds since the Unix epoch.
    pub created_unix: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes of all samples of replay in the checkpoint folder, which snapshots share.
    pub replay_bytes: u64,
    /// Why replay's samples are not part of it, although they should be.
    pub replay_failed: Option<String>,
    /// How long it took to get it on disk.
    pub took: Duration,
}

impl CheckpointFolder {
    /// Writes a snapshot, points `latest` to it and returns once both are on disk.
    ///
    /// Replay's samples go first, and the snapshot goes without them where they cannot be written: what was learned counts more.
    ///
    /// # Errors
    /// Whatever the file system refuses. The snapshots from before and `latest` are then as they were.
    pub fn write(&self, snapshot: &Snapshot) -> Result<Written, CheckpointError> {
        let began = Instant::now();
        let partial = hidden(self.root(), snapshot.step, PARTIAL);
        let (index, replay_failed) = self.save_samples(snapshot);
        let has_samples = index.is_some();
        let sequences = list(self.root())?;
        let sequences = sequences
            .iter()
            .filter_map(|one| Some(one.manifest.as_ref().ok()?.sequence));
        let sequence = sequences.max().unwrap_or(0) + 1;
        let written = write_files(&partial, snapshot, index, sequence).and_then(|bytes| {
            let path = self.put_in_place(&partial, snapshot.step)?;
            self.point_latest(&step_name(snapshot.step))?;
            self.clear_replaced(snapshot.step)?;
            if has_samples && let Some(content) = &snapshot.replay {
                self.hold_snapshot(snapshot.step, content);
            }
            Ok(Written {
                path,
                step: snapshot.step,
                created_unix: snapshot.created_unix,
                bytes,
                replay_bytes: self.packs().bytes()?,
                replay_failed,
                took: began.elapsed(),
            })
        });
        if written.is_err() && partial.exists() {
            // Where even this fails, the next process to open the folder does it.
            let _ = fs::remove_dir_all(&partial);
        }
        written
    }

    /// The text of the index, and why there is none although there should be.
    fn save_samples(&self, snapshot: &Snapshot) -> (Option<Vec<u8>>, Option<String>) {
        let Some(content) = snapshot.replay.as_ref().filter(|_| snapshot.save_samples) else {
            return (None, None);
        };
        let saved = self.packs().save(content).and_then(|mut index| {
            index.spill = self.sync_slots(content)?;
            serde_json::to_vec(&index).map_err(|error| CheckpointError::Manifest {
                path: self.root().join(SAMPLES_FILE),
                reason: error.to_string(),
            })
        });
        match saved {
            Ok(index) => (Some(index), None),
            Err(error) => {
                // Half of the packs are of no use to anyone; where this fails, the next process to open the folder does it.
                let _ = self.collect_packs();
                (None, Some(error.to_string()))
            }
        }
    }

    /// Points `latest` to a complete snapshot, all at once.
    pub(super) fn point_latest(&self, name: &str) -> Result<(), CheckpointError> {
        let new_link = self.root().join(format!(".{LATEST}.new"));
        if new_link.symlink_metadata().is_ok() {
            fs::remove_file(&new_link).map_err(CheckpointError::io("delete", &new_link))?;
        }
        std::os::unix::fs::symlink(name, &new_link).map_err(CheckpointError::io("link", &new_link))?;
        let latest = self.root().join(LATEST);
        fs::rename(&new_link, &latest).map_err(CheckpointError::io("rename", &new_link))?;
        sync_folder(self.root())
    }

    /// Renames a complete snapshot to its name; one that is there is put aside.
    pub(super) fn put_in_place(&self, partial: &Path, step: u64) -> Result<PathBuf, CheckpointError> {
        let name = step_name(step);
        let path = self.root().join(&name);
        let replaced = hidden(self.root(), step, REPLACED);
        // A run resumed from an older snapshot comes by the same step again.
        let replaces = path.is_dir();
        if replaces && retention::is_pinned(&path) {
            retention::set_pin(partial, true)?;
        }
        if replaces {
            fs::rename(&path, &replaced).map_err(CheckpointError::io("rename", &path))?;
        }
        if let Err(error) = fs::rename(partial, &path) {
            if replaces {
                let _ = fs::rename(&replaced, &path);
            }
            return Err(CheckpointError::io("rename", partial)(error));
        }
        sync_folder(self.root())?;
        Ok(path)
    }

    /// Deletes what the snapshot of this step took the place of.
    pub(super) fn clear_replaced(&self, step: u64) -> Result<(), CheckpointError> {
        let replaced = hidden(self.root(), step, REPLACED);
        match replaced.is_dir() {
            true => fs::remove_dir_all(&replaced).map_err(CheckpointError::io("delete", replaced)),
            false => Ok(()),
        }
    }
}

/// All files of a snapshot into a folder of their own, manifest last. Returns their bytes.
fn write_files(
    folder: &Path,
    snapshot: &Snapshot,
    samples: Option<Vec<u8>>,
    sequence: u64,
) -> Result<u64, CheckpointError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(CheckpointError::io("delete", folder))?;
    }
    fs::create_dir(folder).map_err(CheckpointError::io("create", folder))?;
    let mut files = Vec::new();
    let mut write = |name: &str, content: &[u8]| {
        files.push(write_listed(folder, name, content)?);
        Ok::<(), CheckpointError>(())
    };
    write(MODEL_FILE, &encode(&snapshot.model, &folder.join(MODEL_FILE))?)?;
    write(
        OPTIMIZER_FILE,
        &encode(&snapshot.optimizer, &folder.join(OPTIMIZER_FILE))?,
    )?;
    if !snapshot.average.is_empty() {
        write(
            AVERAGE_FILE,
            &encode(&snapshot.average, &folder.join(AVERAGE_FILE))?,
        )?;
    }
    write(
        STATISTICS_FILE,
        &encode(&snapshot.statistics, &folder.join(STATISTICS_FILE))?,
    )?;
    write(STATE_FILE, snapshot.state.as_bytes())?;
    if let Some(replay) = &snapshot.replay {
        let text = serde_json::to_vec(&replay.state).map_err(|error| CheckpointError::Manifest {
            path: folder.join(REPLAY_FILE),
            reason: error.to_string(),
        })?;
        write(REPLAY_FILE, &text)?;
    }
    let samples = samples
        .map(|index| write_listed(folder, SAMPLES_FILE, &index))
        .transpose()?;
    let manifest = Manifest {
        seal: String::new(),
        format_version: FORMAT_VERSION,
        comove_version: env!("CARGO_PKG_VERSION").to_owned(),
        step: snapshot.step,
        created_unix: snapshot.created_unix,
        sequence,
        model: snapshot.model_config.clone(),
        config: snapshot.config.clone(),
        metrics: snapshot.metrics.clone(),
        provenance: snapshot.provenance.clone(),
        files,
        samples,
        forgotten: snapshot.forgotten.clone(),
    };
    let text_bytes = write_manifest(folder, &manifest)?;
    let files = manifest.files.iter().chain(&manifest.samples);
    Ok(files.map(|file| file.bytes).sum::<u64>() + text_bytes)
}

/// The last file of a snapshot's folder; with it the folder is complete and synced. Returns its bytes.
pub(super) fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<u64, CheckpointError> {
    let path = folder.join(MANIFEST_FILE);
    let text = manifest.to_text(&path)?;
    write_synced(&path, text.as_bytes())?;
    sync_folder(folder)?;
    Ok(text.len() as u64)
}

/// Writes a file and gives its entry in the manifest.
pub(super) fn write_listed(folder: &Path, name: &str, content: &[u8]) -> Result<FileEntry, CheckpointError> {
    write_synced(&folder.join(name), content)?;
    Ok(FileEntry {
        name: name.to_owned(),
        bytes: content.len() as u64,
        sha256: sha256(content),
    })
}

pub(super) fn write_synced(path: &Path, content: &[u8]) -> Result<(), CheckpointError> {
    let mut file = File::create_new(path).map_err(CheckpointError::io("create", path))?;
    file.write_all(content)
        .map_err(CheckpointError::io("write", path))?;
    file.sync_all().map_err(CheckpointError::io("sync", path))
}

/// Makes the names in a folder as lasting as the files.
pub(super) fn sync_folder(path: &Path) -> Result<(), CheckpointError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(CheckpointError::io("sync", path))
}
