use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::held_slots::HeldSlots;
use super::manifest::{MANIFEST_FILE, Manifest, SAMPLES_FILE};
use super::sample_packs::{PACKS, SamplePacks};
use super::write::sync_folder;
use super::{CheckpointError, load, retention};

pub(super) const LATEST: &str = "latest";
const LOCK_FILE: &str = ".lock";

/// Endings of the hidden names that a snapshot's folder has while it is not what its name says.
pub(super) const PARTIAL: &str = ".partial";
pub(super) const REPLACED: &str = ".replaced";
pub(super) const PRUNED: &str = ".pruned";

/// The folder that a run writes its snapshots to. Held by one process at a time.
#[derive(Debug)]
pub struct CheckpointFolder {
    root: PathBuf,
    packs: Mutex<SamplePacks>,
    pub(super) held: Mutex<Option<HeldSlots>>,
    _lock: File,
}

/// One entry of [`list`].
#[derive(Debug)]
pub struct Listed {
    /// Training steps behind it, from its name.
    pub step: u64,
    /// Its folder.
    pub path: PathBuf,
    /// `latest` points to it.
    pub latest: bool,
    /// It is never deleted by comove.
    pub pinned: bool,
    /// Replay's samples can be gone on with.
    pub has_replay: bool,
    /// Its manifest; the other files are not read.
    pub manifest: Result<Manifest, CheckpointError>,
}

pub(super) fn step_name(step: u64) -> String {
    format!("{step:08}")
}

fn step_of(name: &str) -> Option<u64> {
    let step: u64 = name.parse().ok()?;
    (step_name(step) == name).then_some(step)
}

pub(super) fn hidden(root: &Path, step: u64, ending: &str) -> PathBuf {
    root.join(format!(".{}{ending}", step_name(step)))
}

/// A lock outlives its owner for the moment in which a forked child has not yet become another program, and while a killed
/// process is cleared away.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const LOCK_RETRY: Duration = Duration::from_millis(10);

impl CheckpointFolder {
    /// Makes the folder where it is missing, takes its lock, and clears away what a killed process left half done.
    ///
    /// # Errors
    /// A folder that cannot be written to, or that another process has open.
    pub fn open(root: &Path) -> Result<Self, CheckpointError> {
        if !root.is_dir() {
            fs::create_dir_all(root).map_err(CheckpointError::io("create", root))?;
            if let Some(parent) = root.parent().filter(|parent| parent.is_dir()) {
                sync_folder(parent)?;
            }
        }
        let lock_path = root.join(LOCK_FILE);
        let lock = File::create(&lock_path).map_err(CheckpointError::io("write", &lock_path))?;
        let give_up = Instant::now() + LOCK_PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < give_up => thread::sleep(LOCK_RETRY),
                Err(TryLockError::WouldBlock) => {
                    return Err(CheckpointError::InUse {
                        path: root.to_owned(),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(CheckpointError::io("lock", lock_path)(error)),
            }
        }
        let folder = Self {
            root: root.to_owned(),
            packs: Mutex::new(SamplePacks::of(root)),
            held: Mutex::new(None),
            _lock: lock,
        };
        folder.recover()?;
        Ok(folder)
    }

    pub(super) fn packs(&self) -> MutexGuard<'_, SamplePacks> {
        self.packs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Finishes or undoes what was under way when the last writer was killed.
    pub(super) fn recover(&self) -> Result<(), CheckpointError> {
        for name in names_in(&self.root)? {
            let path = self.root.join(&name);
            let Some(rest) = name.strip_prefix('.') else {
                continue;
            };
            if rest == format!("{LATEST}.new") {
                fs::remove_file(&path).map_err(CheckpointError::io("delete", path))?;
            } else if let Some(step) = rest.strip_suffix(REPLACED)
                && step_of(step).is_some()
                && !self.root.join(step).exists()
            {
                // Killed between taking the old snapshot away and putting the new one in its place.
                let place = self.root.join(step);
                fs::rename(&path, &place).map_err(CheckpointError::io("rename", path))?;
            } else if [PARTIAL, REPLACED, PRUNED].iter().any(|ending| {
                rest.strip_suffix(ending)
                    .is_some_and(|step| step_of(step).is_some())
            }) {
                fs::remove_dir_all(&path).map_err(CheckpointError::io("delete", path))?;
            }
        }
        // Killed between a snapshot's last rename and that of `latest`. By sequence, not by step, since a run that was resumed
        // from an older snapshot writes lower steps later; and by time only among those of a comove that did not number them.
        let newest = list(&self.root)?
            .into_iter()
            .filter_map(|one| {
                let manifest = one.manifest.ok()?;
                Some((manifest.sequence, manifest.created_unix, one.step, one.latest))
            })
            .max();
        if let Some((_, _, step, false)) = newest {
            self.point_latest(&step_name(step))?;
        }
        self.collect_packs()
    }
}

fn names_in(root: &Path) -> Result<Vec<String>, CheckpointError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root).map_err(CheckpointError::io("read", root))? {
        let entry = entry.map_err(CheckpointError::io("read", root))?;
        // A name that is not UTF-8 is none of comove's.
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// The steps of the complete snapshots in a folder, rising.
pub(super) fn steps_in(root: &Path) -> Result<Vec<u64>, CheckpointError> {
    let complete = |step: &u64| root.join(step_name(*step)).join(MANIFEST_FILE).is_file();
    let mut steps: Vec<u64> = names_in(root)?.iter().filter_map(|name| step_of(name)).collect();
    steps.retain(complete);
    steps.sort_unstable();
    Ok(steps)
}

/// The snapshots in a folder, oldest first.
pub fn list(root: &Path) -> Result<Vec<Listed>, CheckpointError> {
    let latest = fs::read_link(root.join(LATEST)).ok();
    let listed = |step| {
        let name = step_name(step);
        let path = root.join(&name);
        Listed {
            step,
            latest: latest.as_deref() == Some(Path::new(&name)),
            pinned: retention::is_pinned(&path),
            has_replay: path.join(SAMPLES_FILE).is_file() && root.join(PACKS).is_dir(),
            manifest: load::show(&path),
            path,
        }
    };
    Ok(steps_in(root)?.into_iter().map(listed).collect())
}

/// The snapshot that a path means: itself, or the newest one of a folder of snapshots.
pub fn resolve(path: &Path) -> Result<PathBuf, CheckpointError> {
    if path.join(MANIFEST_FILE).is_file() {
        return Ok(path.to_owned());
    }
    let latest = path.join(LATEST);
    if latest.join(MANIFEST_FILE).is_file() {
        let target = fs::read_link(&latest).map_err(CheckpointError::io("read", latest))?;
        return Ok(path.join(target));
    }
    let not_found = || CheckpointError::NotFound {
        path: path.to_owned(),
    };
    if !path.is_dir() {
        return Err(not_found());
    }
    let newest = steps_in(path)?.into_iter().next_back().ok_or_else(not_found)?;
    Ok(path.join(step_name(newest)))
}
