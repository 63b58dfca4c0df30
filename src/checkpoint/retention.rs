use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::folder::{Listed, PRUNED, hidden, list};
use super::manifest::SAMPLES_FILE;
use super::write::{sync_folder, write_synced};
use super::{CheckpointError, CheckpointFolder, load, resolve};

/// An empty file in a snapshot's folder that keeps it from being deleted.
const PIN_FILE: &str = "pinned";

/// Which snapshots stay. Pinned ones, and the one that `latest` points to, always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The newest.
    pub newest: usize,
    /// Those of the lowest loss.
    pub best: usize,
    /// The newest that keep replay's samples.
    pub with_replay: usize,
}

pub(super) fn is_pinned(snapshot: &Path) -> bool {
    snapshot.join(PIN_FILE).is_file()
}

pub(super) fn set_pin(snapshot: &Path, pinned: bool) -> Result<(), CheckpointError> {
    let pin = snapshot.join(PIN_FILE);
    match (pinned, pin.is_file()) {
        (true, false) => write_synced(&pin, b"")?,
        (false, true) => fs::remove_file(&pin).map_err(CheckpointError::io("delete", pin))?,
        (true, true) | (false, false) => return Ok(()),
    }
    sync_folder(snapshot)
}

/// Keeps a snapshot from being deleted, or no longer. `path` is a snapshot or a folder of snapshots, of which the newest is meant.
/// A run may be writing to the folder.
pub fn pin(path: &Path, pinned: bool) -> Result<(), CheckpointError> {
    set_pin(&resolve(path)?, pinned)
}

/// The loss that snapshots are compared by: that of samples at their first use, which no sample can have been learned by heart
/// for, else that of training.
fn loss_of(snapshot: &Listed) -> Option<f64> {
    let metrics = &snapshot.manifest.as_ref().ok()?.metrics;
    let figure = |key: &str| metrics.get(key)?.as_f64().filter(|value| value.is_finite());
    let first_use = figure("prequential_context").zip(figure("prequential_motion"));
    first_use
        .map(|(context, motion)| (context + motion) / 2.0)
        .or_else(|| figure("loss"))
}

/// What the newest has the most of. The clock counts only among those of a comove that did not number them.
fn newness(snapshot: &Listed) -> (u64, u64, u64) {
    let of = |manifest: &super::Manifest| (manifest.sequence, manifest.created_unix, snapshot.step);
    snapshot.manifest.as_ref().map_or((0, 0, snapshot.step), of)
}

/// The sound snapshots in a folder, the newest first.
pub fn newest_first(root: &Path) -> Result<Vec<Listed>, CheckpointError> {
    let mut listed = list(root)?;
    listed.retain(|one| one.manifest.is_ok());
    listed.sort_by_key(|one| Reverse(newness(one)));
    Ok(listed)
}

impl CheckpointFolder {
    /// Deletes the snapshots that need not stay. Returns their steps.
    pub fn prune(&self, retention: Retention) -> Result<Vec<u64>, CheckpointError> {
        let listed = list(self.root())?;
        let mut stay: BTreeSet<u64> = listed
            .iter()
            .filter(|one| one.latest || one.pinned)
            .map(|one| one.step)
            .collect();
        let mut by_newness: Vec<_> = listed.iter().collect();
        by_newness.sort_by_key(|one| Reverse(newness(one)));
        stay.extend(by_newness.iter().take(retention.newest).map(|one| one.step));
        let mut by_loss: Vec<(f64, u64)> = listed
            .iter()
            .filter_map(|one| Some((loss_of(one)?, one.step)))
            .collect();
        by_loss.sort_by(|a, b| a.0.total_cmp(&b.0));
        stay.extend(by_loss.iter().take(retention.best).map(|(_, step)| *step));
        let mut deleted = Vec::new();
        for one in listed.iter().filter(|one| !stay.contains(&one.step)) {
            // Renamed first: what is half deleted must not look like a snapshot.
            let pruned = hidden(self.root(), one.step, PRUNED);
            fs::rename(&one.path, &pruned).map_err(CheckpointError::io("rename", &one.path))?;
            fs::remove_dir_all(&pruned).map_err(CheckpointError::io("delete", pruned))?;
            deleted.push(one.step);
        }
        self.let_samples_go(retention.with_replay)?;
        Ok(deleted)
    }

    /// Only the newest snapshots keep replay's samples.
    fn let_samples_go(&self, newest: usize) -> Result<(), CheckpointError> {
        let mut listed = list(self.root())?;
        listed.sort_by_key(|one| Reverse((one.latest, newness(one))));
        for one in listed.iter().skip(newest) {
            let index = one.path.join(SAMPLES_FILE);
            if index.is_file() {
                fs::remove_file(&index).map_err(CheckpointError::io("delete", index))?;
                // The index must not come back with a power cut when its packs are gone.
                sync_folder(&one.path)?;
            }
        }
        self.collect_packs()
    }

    /// Deletes the packs of samples that no snapshot names, and lets such slots go. Does nothing where an index cannot be read: it may name them.
    pub(super) fn collect_packs(&self) -> Result<(), CheckpointError> {
        let mut indices = Vec::new();
        let mut steps = BTreeSet::new();
        for one in list(self.root())? {
            match load::sample_index(&one.path) {
                Ok(None) => {}
                Ok(Some(index)) => {
                    indices.push(index);
                    steps.insert(one.step);
                }
                Err(error) => {
                    tracing::warn!(%error, "samples of replay that no checkpoint needs are left on disk");
                    return Ok(());
                }
            }
        }
        self.packs().collect(&indices)?;
        self.hold_only(&steps)
    }
}
