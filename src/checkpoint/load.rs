use std::{collections::BTreeMap, fs, path::Path, path::PathBuf, sync::Arc};

use tch::{Device, Tensor};

use super::held_slots::read_slots;
use super::manifest::{
    AVERAGE_FILE, FileEntry, MANIFEST_FILE, MODEL_FILE, Manifest, OPTIMIZER_FILE, REPLAY_FILE, SAMPLES_FILE,
    STATE_FILE, STATISTICS_FILE, sha256,
};
use super::sample_index::SampleIndex;
use super::sample_packs::{PACKS, SamplePacks};
use super::tensor_file::decode;
use super::{CheckpointError, CheckpointFolder, resolve};
use crate::model::{Average, Model};
use crate::replay::{ReplayState, StoredSample, StoredSamples};

/// What a run goes on from. Everything was verified.
#[derive(Debug)]
pub struct Resumable {
    /// The snapshot's folder.
    pub path: PathBuf,
    /// What it is.
    pub manifest: Manifest,
    /// Parameters and statistics by name, on the CPU.
    pub model: BTreeMap<String, Tensor>,
    /// The moving average of the V-Network by name, on the CPU, where training kept one.
    pub average: Option<BTreeMap<String, Tensor>>,
    /// The optimiser's state by name, on the CPU.
    pub optimizer: BTreeMap<String, Tensor>,
    /// Figures under way, by name, on the CPU.
    pub statistics: BTreeMap<String, Tensor>,
    /// Counters, schedule and random generator, as JSON.
    pub state: String,
    /// Replay's figures and the streams' places, where the run had a replay.
    pub replay: Option<ReplayState>,
}

/// A snapshot's manifest, sealed as it was written. The other files are not read.
pub fn show(path: &Path) -> Result<Manifest, CheckpointError> {
    let path = resolve(path)?.join(MANIFEST_FILE);
    let text = fs::read(&path).map_err(CheckpointError::io("read", &path))?;
    Manifest::from_text(&text, &path)
}

/// Reads a snapshot whole and checks every byte of it. `path` is a snapshot or a folder of snapshots, of which the newest is meant.
pub fn verify(path: &Path) -> Result<Manifest, CheckpointError> {
    let loaded = load_for_resume(path)?;
    if let Some((index, packs)) = samples_of(&loaded.path)? {
        packs.verify(&index)?;
        let root = loaded.path.parent().unwrap_or(Path::new(""));
        read_slots(&index, root, &loaded.path.join(SAMPLES_FILE), &mut |read| {
            read?;
            Ok(())
        })?;
    }
    Ok(loaded.manifest)
}

/// Replay's samples in a snapshot, every byte checked, all in memory. Those that replay had on disk itself may be missing, which is
/// counted. `None` where it has none: newer snapshots do, they could not be written,
/// or the snapshot was taken away from its folder without them.
pub fn load_samples(snapshot: &Path) -> Result<Option<StoredSamples>, CheckpointError> {
    let Some((index, packs)) = samples_of(snapshot)? else {
        return Ok(None);
    };
    let index_path = snapshot.join(SAMPLES_FILE);
    let samples = packs.load(&index, &index_path)?;
    let mut samples: Vec<_> = samples.into_iter().map(StoredSample::Memory).collect();
    let root = snapshot.parent().unwrap_or(Path::new(""));
    read_slots(&index, root, &index_path, &mut |read| {
        if let Ok(sample) = read {
            samples.push(StoredSample::Memory(Arc::new(sample)));
        }
        Ok(())
    })?;
    Ok(Some(stored(samples, index)))
}

/// The samples of an index as far as they are there.
fn stored(mut samples: Vec<StoredSample>, index: SampleIndex) -> StoredSamples {
    samples.sort_by_key(StoredSample::id);
    StoredSamples {
        missing: index.samples.len().saturating_sub(samples.len()) as u64,
        samples,
        policies: index.policies,
    }
}

fn samples_of(snapshot: &Path) -> Result<Option<(SampleIndex, SamplePacks)>, CheckpointError> {
    let Some(root) = snapshot.parent().filter(|root| root.join(PACKS).is_dir()) else {
        return Ok(None);
    };
    Ok(sample_index(snapshot)?.map(|index| (index, SamplePacks::of(root))))
}

/// The index of a snapshot's samples, if it has them still.
pub(super) fn sample_index(snapshot: &Path) -> Result<Option<SampleIndex>, CheckpointError> {
    let path = snapshot.join(SAMPLES_FILE);
    let Some(entry) = show(snapshot)?.samples.filter(|_| path.is_file()) else {
        return Ok(None);
    };
    let text = read_verified(snapshot, &entry)?;
    let index = serde_json::from_slice(&text).map_err(|error| CheckpointError::Manifest {
        path,
        reason: error.to_string(),
    })?;
    Ok(Some(index))
}

impl CheckpointFolder {
    /// As [`load_samples`], by the run that goes on with them: its next snapshot writes only what is new. What replay had on disk
    /// stays there, to be checked when it is read, and is missing where [`Self::hold_slots`] did not find it.
    pub fn take_samples(&self, snapshot: &Path) -> Result<Option<StoredSamples>, CheckpointError> {
        let Some(index) = sample_index(snapshot)? else {
            return Ok(None);
        };
        if snapshot.parent() != Some(self.root()) {
            return load_samples(snapshot);
        }
        let mut packs = self.packs();
        let in_packs = packs.load(&index, &snapshot.join(SAMPLES_FILE))?;
        packs.adopt(&index);
        let mut samples: Vec<_> = in_packs.into_iter().map(StoredSample::Memory).collect();
        samples.extend(self.held_of(show(snapshot)?.step));
        Ok(Some(stored(samples, index)))
    }
}

/// Everything that a run goes on from.
pub fn load_for_resume(path: &Path) -> Result<Resumable, CheckpointError> {
    let path = resolve(path)?;
    let manifest = show(&path)?;
    let mut contents = BTreeMap::new();
    for entry in &manifest.files {
        contents.insert(entry.name.as_str(), read_verified(&path, entry)?);
    }
    let mut content = |name: &str| {
        contents.remove(name).ok_or_else(|| CheckpointError::Manifest {
            path: path.join(MANIFEST_FILE),
            reason: format!("it does not list {name}"),
        })
    };
    let state_path = path.join(STATE_FILE);
    let state = String::from_utf8(content(STATE_FILE)?).map_err(|error| CheckpointError::Manifest {
        path: state_path,
        reason: error.to_string(),
    })?;
    let model = decode(&content(MODEL_FILE)?, &path.join(MODEL_FILE))?;
    let average = match manifest.files.iter().any(|entry| entry.name == AVERAGE_FILE) {
        true => Some(decode(&content(AVERAGE_FILE)?, &path.join(AVERAGE_FILE))?),
        false => None,
    };
    let optimizer = decode(&content(OPTIMIZER_FILE)?, &path.join(OPTIMIZER_FILE))?;
    let statistics = match contents.remove(STATISTICS_FILE) {
        Some(content) => decode(&content, &path.join(STATISTICS_FILE))?,
        None => BTreeMap::new(),
    };
    let replay_path = path.join(REPLAY_FILE);
    let replay = contents
        .remove(REPLAY_FILE)
        .map(|text| serde_json::from_slice(&text))
        .transpose()
        .map_err(|error| CheckpointError::Manifest {
            path: replay_path,
            reason: error.to_string(),
        })?;
    Ok(Resumable {
        replay,
        statistics,
        model,
        average,
        optimizer,
        state,
        manifest,
        path,
    })
}

/// The networks of a snapshot, for evaluation: the V-Network as its moving average where training kept one. `path` is a snapshot or a folder of snapshots, of which the newest is meant.
pub fn load_weights(path: &Path, device: Device) -> Result<(Model, Manifest), CheckpointError> {
    let path = resolve(path)?;
    let manifest = show(&path)?;
    let file = path.join(MODEL_FILE);
    let entry = manifest.files.iter().find(|entry| entry.name == MODEL_FILE);
    let entry = entry.ok_or_else(|| CheckpointError::Manifest {
        path: path.join(MANIFEST_FILE),
        reason: format!("it does not list {MODEL_FILE}"),
    })?;
    let mut tensors = decode(&read_verified(&path, entry)?, &file)?;
    let in_file = |source| CheckpointError::Model {
        path: file.clone(),
        source,
    };
    let model = Model::random(&manifest.model, 0, device).map_err(in_file)?;
    model.store().load(&tensors).map_err(in_file)?;
    if let Some(entry) = manifest.files.iter().find(|entry| entry.name == AVERAGE_FILE) {
        let file = path.join(AVERAGE_FILE);
        let average = decode(&read_verified(&path, entry)?, &file)?;
        let in_file = |source| CheckpointError::Model {
            path: file.clone(),
            source,
        };
        // Strictly: every tensor of the V-Network, and no other.
        Average::new(model.store(), "v.", 0.0)
            .load(&average)
            .map_err(in_file)?;
        tensors.extend(average);
        model.store().load(&tensors).map_err(in_file)?;
    }
    Ok((model, manifest))
}

fn read_verified(folder: &Path, entry: &FileEntry) -> Result<Vec<u8>, CheckpointError> {
    let path = folder.join(&entry.name);
    let content = fs::read(&path).map_err(CheckpointError::io("read", &path))?;
    if content.len() as u64 != entry.bytes {
        return Err(CheckpointError::Size {
            path,
            expected: entry.bytes,
            found: content.len() as u64,
        });
    }
    let found = sha256(&content);
    if found != entry.sha256 {
        return Err(CheckpointError::Digest {
            path,
            expected: entry.sha256.clone(),
            found,
        });
    }
    Ok(content)
}
