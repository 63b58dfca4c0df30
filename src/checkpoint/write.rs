use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::folder::{LATEST, PARTIAL, PRUNED, REPLACED, hidden, step_name, steps_in};
use super::manifest::{
    FORMAT_VERSION, FileEntry, MANIFEST_FILE, MODEL_FILE, Manifest, OPTIMIZER_FILE, STATE_FILE, sha256,
};
use super::tensor_file::{NamedTensor, encode};
use super::{CheckpointError, CheckpointFolder};
use crate::model::ModelConfig;

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
    /// The optimiser's state.
    pub optimizer: Vec<NamedTensor>,
    /// Counters, schedule and random generator, as JSON.
    pub state: String,
    /// The resolved configuration, as TOML.
    pub config: String,
    /// The last report.
    pub metrics: serde_json::Value,
    /// What was learned from.
    pub provenance: serde_json::Value,
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
    /// How long it took to get it on disk.
    pub took: Duration,
}

impl CheckpointFolder {
    /// Writes a snapshot, points `latest` to it and returns once both are on disk.
    ///
    /// # Errors
    /// Whatever the file system refuses. The snapshots from before and `latest` are then as they were.
    pub fn write(&self, snapshot: &Snapshot) -> Result<Written, CheckpointError> {
        let began = Instant::now();
        let partial = hidden(self.root(), snapshot.step, PARTIAL);
        let written = write_files(&partial, snapshot).and_then(|bytes| {
            let path = self.put_in_place(&partial, snapshot.step)?;
            Ok(Written {
                path,
                step: snapshot.step,
                created_unix: snapshot.created_unix,
                bytes,
                took: began.elapsed(),
            })
        });
        if written.is_err() && partial.exists() {
            // Where even this fails, the next process to open the folder does it.
            let _ = fs::remove_dir_all(&partial);
        }
        written
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

    /// Renames a complete snapshot to its name and points `latest` to it.
    fn put_in_place(&self, partial: &Path, step: u64) -> Result<PathBuf, CheckpointError> {
        let name = step_name(step);
        let path = self.root().join(&name);
        let replaced = hidden(self.root(), step, REPLACED);
        // A run resumed from an older snapshot comes by the same step again.
        let replaces = path.is_dir();
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
        self.point_latest(&name)?;
        if replaces {
            fs::remove_dir_all(&replaced).map_err(CheckpointError::io("delete", replaced))?;
        }
        Ok(path)
    }

    /// Deletes all but the `keep` newest snapshots, never the one that `latest` points to. Returns the steps of those deleted.
    pub fn prune(&self, keep: usize) -> Result<Vec<u64>, CheckpointError> {
        let latest = fs::read_link(self.root().join(LATEST)).ok();
        let steps = steps_in(self.root())?;
        let mut deleted = Vec::new();
        for &step in &steps[..steps.len().saturating_sub(keep)] {
            let path = self.root().join(step_name(step));
            if latest.as_deref() == Some(Path::new(&step_name(step))) {
                continue;
            }
            // Renamed first: what is half deleted must not look like a snapshot.
            let pruned = hidden(self.root(), step, PRUNED);
            fs::rename(&path, &pruned).map_err(CheckpointError::io("rename", path))?;
            fs::remove_dir_all(&pruned).map_err(CheckpointError::io("delete", pruned))?;
            deleted.push(step);
        }
        Ok(deleted)
    }
}

/// All files of a snapshot into a folder of their own, manifest last. Returns their bytes.
fn write_files(folder: &Path, snapshot: &Snapshot) -> Result<u64, CheckpointError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(CheckpointError::io("delete", folder))?;
    }
    fs::create_dir(folder).map_err(CheckpointError::io("create", folder))?;
    let mut files = Vec::new();
    let mut write = |name: &str, content: &[u8]| {
        write_synced(&folder.join(name), content)?;
        files.push(FileEntry {
            name: name.to_owned(),
            bytes: content.len() as u64,
            sha256: sha256(content),
        });
        Ok(())
    };
    write(MODEL_FILE, &encode(&snapshot.model, &folder.join(MODEL_FILE))?)?;
    write(
        OPTIMIZER_FILE,
        &encode(&snapshot.optimizer, &folder.join(OPTIMIZER_FILE))?,
    )?;
    write(STATE_FILE, snapshot.state.as_bytes())?;
    let manifest = Manifest {
        seal: String::new(),
        format_version: FORMAT_VERSION,
        comove_version: env!("CARGO_PKG_VERSION").to_owned(),
        step: snapshot.step,
        created_unix: snapshot.created_unix,
        model: snapshot.model_config.clone(),
        config: snapshot.config.clone(),
        metrics: snapshot.metrics.clone(),
        provenance: snapshot.provenance.clone(),
        files,
    };
    let path = folder.join(MANIFEST_FILE);
    let text = manifest.to_text(&path)?;
    write_synced(&path, text.as_bytes())?;
    sync_folder(folder)?;
    Ok(manifest.files.iter().map(|file| file.bytes).sum::<u64>() + text.len() as u64)
}

fn write_synced(path: &Path, content: &[u8]) -> Result<(), CheckpointError> {
    let mut file = File::create_new(path).map_err(CheckpointError::io("create", path))?;
    file.write_all(content)
        .map_err(CheckpointError::io("write", path))?;
    file.sync_all().map_err(CheckpointError::io("sync", path))
}

/// Makes the names in a folder as lasting as the files.
fn sync_folder(path: &Path) -> Result<(), CheckpointError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(CheckpointError::io("sync", path))
}
