use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::CheckpointError;
use super::manifest::sha256;
use super::sample_index::{IndexedSample, PackPlace, SampleIndex, SamplePlace};
use super::write::sync_folder;
use crate::replay::{PolicyState, ReplayContent, Sample, SampleLayout, StoredSample, record_of};
use crate::window::SampleSpec;

/// The folder of packs beside the snapshots.
pub(super) const PACKS: &str = "replay";

/// A pack's samples take about so much at most.
const PACK_BYTES: usize = 256 << 20;

/// Ending of a pack that is being written.
const PARTIAL: &str = ".partial";

/// The samples that replay has in memory, on disk, in packs that are written once and never changed: a safetensors file each, with the tensors
/// `ID.target`, `ID.negatives`, `ID.key_frame` and `ID.clip` of each sample. A snapshot writes the samples that are new since the
/// last one, and again those of packs of which more than half is gone; so the packs of one snapshot take at most twice the bytes
/// of its samples.
#[derive(Debug)]
pub(super) struct SamplePacks {
    folder: PathBuf,
    /// Where the samples of the run's last snapshot are.
    places: HashMap<u64, PackPlace>,
}

/// Is given each sample of an index: its entry, its shape, its bytes.
type EachSample<'a> = dyn FnMut(&IndexedSample, SampleSpec, Vec<u8>) -> Result<(), CheckpointError> + 'a;

fn pack_name(number: u64) -> String {
    format!("{number:08}.safetensors")
}

fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".safetensors")?.parse().ok()?;
    (pack_name(number) == name).then_some(number)
}

impl SamplePacks {
    /// Of a folder of snapshots.
    pub fn of(root: &Path) -> Self {
        Self {
            folder: root.join(PACKS),
            places: HashMap::new(),
        }
    }

    /// The packs' numbers, rising, with their sizes.
    fn packs(&self) -> Result<BTreeMap<u64, u64>, CheckpointError> {
        let mut packs = BTreeMap::new();
        if !self.folder.is_dir() {
            return Ok(packs);
        }
        let read = |error| CheckpointError::io("read", &self.folder)(error);
        for entry in fs::read_dir(&self.folder).map_err(read)? {
            let entry = entry.map_err(read)?;
            if let Some(number) = entry.file_name().to_str().and_then(number_of) {
                packs.insert(number, entry.metadata().map_err(read)?.len());
            }
        }
        Ok(packs)
    }

    /// Takes note of the samples that a run goes on with: they need not be written again.
    pub fn adopt(&mut self, index: &SampleIndex) {
        let places = index
            .samples
            .iter()
            .filter_map(|sample| Some((sample.id, sample.at.in_pack()?.clone())));
        self.places = places.collect();
    }

    /// Brings every sample in memory to disk, and tells where all are.
    pub fn save(&mut self, content: &ReplayContent) -> Result<SampleIndex, CheckpointError> {
        let packs = self.packs()?;
        let mut living: HashMap<u64, u64> = HashMap::new();
        let in_memory = || content.samples.iter().filter_map(StoredSample::in_memory);
        let known = in_memory().filter_map(|sample| self.places.get(&sample.id.0));
        for place in known {
            *living.entry(place.pack).or_default() += place.bytes;
        }
        let stays = |place: &PackPlace| {
            let size = packs.get(&place.pack).copied();
            size.is_some_and(|size| 2 * living.get(&place.pack).copied().unwrap_or(0) >= size)
        };
        let mut places = HashMap::new();
        let mut missing: Vec<&Arc<Sample>> = Vec::new();
        for sample in in_memory() {
            match self.places.get(&sample.id.0).filter(|place| stays(place)) {
                Some(place) => drop(places.insert(sample.id.0, place.clone())),
                None => missing.push(sample),
            }
        }
        let mut number = packs.last_key_value().map_or(1, |(last, _)| last + 1);
        let mut rest = missing.as_slice();
        while let Some(first) = rest.first() {
            let each = SampleLayout::of(&first.spec).bytes().max(1);
            let (now, later) = rest.split_at(rest.len().min((PACK_BYTES / each).max(1)));
            self.write_pack(number, now, &mut places)?;
            rest = later;
            number += 1;
        }
        let samples = content.samples.iter().filter_map(|sample| {
            let at = match sample {
                StoredSample::Memory(sample) => SamplePlace::Pack(places.get(&sample.id.0)?.clone()),
                StoredSample::Disk(spilled) => SamplePlace::Slot(spilled.at()),
            };
            Some(IndexedSample::new(&sample.head(), at))
        });
        let index = SampleIndex {
            policies: content.policies.clone(),
            spec: content.samples.first().map(|sample| sample.head().spec),
            spill: None,
            samples: samples.collect(),
        };
        self.places = places;
        Ok(index)
    }

    /// One file, synced and in its place, or nothing.
    fn write_pack(
        &self,
        number: u64,
        samples: &[&Arc<Sample>],
        places: &mut HashMap<u64, PackPlace>,
    ) -> Result<(), CheckpointError> {
        if !self.folder.is_dir() {
            fs::create_dir_all(&self.folder).map_err(CheckpointError::io("create", &self.folder))?;
            if let Some(root) = self.folder.parent() {
                sync_folder(root)?;
            }
        }
        let path = self.folder.join(pack_name(number));
        let partial = self.folder.join(format!(".{}{PARTIAL}", pack_name(number)));
        let written = write_records(&partial, &path, number, samples, places).and_then(|()| {
            fs::rename(&partial, &path).map_err(CheckpointError::io("rename", &partial))?;
            sync_folder(&self.folder)
        });
        if written.is_err() {
            // Where even this fails, the next process to open the folder does it.
            let _ = fs::remove_file(&partial);
        }
        written
    }

    /// The samples of an index that are in packs, every byte checked.
    pub fn load(&self, index: &SampleIndex, index_path: &Path) -> Result<Vec<Arc<Sample>>, CheckpointError> {
        let mut samples = Vec::new();
        self.read(index, &mut |indexed, spec, record| {
            samples.push(Arc::new(indexed.sample(spec, &record, index_path)?));
            Ok(())
        })?;
        Ok(samples)
    }

    /// Reads and checks every byte of an index's samples in packs.
    pub fn verify(&self, index: &SampleIndex) -> Result<(), CheckpointError> {
        self.read(index, &mut |_, _, _| Ok(()))
    }

    fn read(&self, index: &SampleIndex, each: &mut EachSample<'_>) -> Result<(), CheckpointError> {
        let mut open: Option<(u64, File, PathBuf)> = None;
        let Some(spec) = index.spec else {
            return Ok(());
        };
        for indexed in &index.samples {
            let Some(at) = indexed.at.in_pack() else {
                continue;
            };
            let (_, file, path) = match open.take().filter(|(pack, _, _)| *pack == at.pack) {
                Some(same) => open.insert(same),
                None => {
                    let path = self.folder.join(pack_name(at.pack));
                    let file = File::open(&path).map_err(CheckpointError::io("read", &path))?;
                    open.insert((at.pack, file, path))
                }
            };
            // Not more than there is, whatever the index says.
            let size = file
                .metadata()
                .map_err(CheckpointError::io("read", &*path))?
                .len();
            let expected = at.offset.saturating_add(at.bytes);
            if expected > size {
                return Err(CheckpointError::Size {
                    path: path.clone(),
                    expected,
                    found: size,
                });
            }
            let mut record = vec![0; at.bytes as usize];
            file.read_exact_at(&mut record, at.offset)
                .map_err(CheckpointError::io("read", &*path))?;
            let found = sha256(&record);
            if found != at.sha256 {
                return Err(CheckpointError::Digest {
                    path: path.clone(),
                    expected: at.sha256.clone(),
                    found,
                });
            }
            each(indexed, spec, record)?;
        }
        Ok(())
    }

    /// Deletes packs that none of the indices names, and what a killed writer left.
    pub fn collect(&self, indices: &[SampleIndex]) -> Result<(), CheckpointError> {
        let named: HashSet<u64> = indices
            .iter()
            .flat_map(|index| index.samples.iter().filter_map(|sample| sample.at.in_pack()))
            .map(|at| at.pack)
            .collect();
        for number in self.packs()?.into_keys().filter(|number| !named.contains(number)) {
            let path = self.folder.join(pack_name(number));
            fs::remove_file(&path).map_err(CheckpointError::io("delete", path))?;
        }
        if !self.folder.is_dir() {
            return Ok(());
        }
        let read = |error| CheckpointError::io("read", &self.folder)(error);
        for entry in fs::read_dir(&self.folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            let is_partial = path
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with('.') && name.ends_with(PARTIAL));
            if is_partial {
                fs::remove_file(&path).map_err(CheckpointError::io("delete", path))?;
            }
        }
        Ok(())
    }

    /// Bytes of all packs.
    pub fn bytes(&self) -> Result<u64, CheckpointError> {
        Ok(self.packs()?.into_values().sum())
    }
}

/// Writes a safetensors file of samples that all have the same shape, sample by sample, and notes their places.
fn write_records(
    partial: &Path,
    path: &Path,
    number: u64,
    samples: &[&Arc<Sample>],
    places: &mut HashMap<u64, PackPlace>,
) -> Result<(), CheckpointError> {
    let io = |error| CheckpointError::io("write", path)(error);
    let Some(first) = samples.first() else {
        return Ok(());
    };
    let layout = SampleLayout::of(&first.spec);
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut begins = 0;
    for sample in samples {
        for (name, dtype, shape, bytes) in &layout.parts {
            let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [begins, begins + bytes]});
            header.insert(format!("{}.{name}", sample.id.0), entry);
            begins += bytes;
        }
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    // The data begins at a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    let file = File::create(partial).map_err(CheckpointError::io("create", path))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
    out.write_all(&header).map_err(io)?;
    let mut offset = 8 + header.len() as u64;
    for sample in samples {
        let record = record_of(sample);
        if sample.spec != first.spec || record.len() != layout.bytes() {
            return Err(CheckpointError::Tensors {
                path: path.to_owned(),
                reason: format!("sample {} is of another shape than the others", sample.id.0),
            });
        }
        out.write_all(&record).map_err(io)?;
        let place = PackPlace {
            pack: number,
            offset,
            bytes: record.len() as u64,
            sha256: sha256(&record),
        };
        offset += place.bytes;
        places.insert(sample.id.0, place);
    }
    let file = out.into_inner().map_err(|error| io(error.into_error()))?;
    file.sync_all().map_err(CheckpointError::io("sync", path))
}

/// The index without what `keep` refuses, rewritten so that no pack holds the rest any more: samples of packs that held some
/// of it are written to new packs.
pub(super) fn without(
    packs: &SamplePacks,
    index: &SampleIndex,
    index_path: &Path,
    keep: impl Fn(&IndexedSample) -> bool,
) -> Result<SampleIndex, CheckpointError> {
    let touched: HashSet<u64> = index
        .samples
        .iter()
        .filter(|sample| !keep(sample))
        .filter_map(|sample| sample.at.in_pack())
        .map(|at| at.pack)
        .collect();
    let (moved, stay): (Vec<_>, Vec<_>) = index
        .samples
        .iter()
        .filter(|sample| keep(sample))
        .cloned()
        .partition(|sample| {
            let pack = sample.at.in_pack().map(|at| at.pack);
            pack.is_some_and(|pack| touched.contains(&pack))
        });
    let moved = SampleIndex {
        samples: moved,
        ..index.clone()
    };
    let mut places = HashMap::new();
    let samples = packs.load(&moved, index_path)?;
    let next = packs.packs()?.last_key_value().map_or(1, |(last, _)| last + 1);
    let each = index
        .spec
        .map_or(1, |spec| SampleLayout::of(&spec).bytes().max(1));
    let samples: Vec<&Arc<Sample>> = samples.iter().collect();
    for (number, part) in (next..).zip(samples.chunks((PACK_BYTES / each).max(1))) {
        packs.write_pack(number, part, &mut places)?;
    }
    let mut left: Vec<IndexedSample> = moved
        .samples
        .into_iter()
        .filter_map(|sample| {
            let at = SamplePlace::Pack(places.get(&sample.id)?.clone());
            Some(IndexedSample { at, ..sample })
        })
        .chain(stay)
        .collect();
    left.sort_by_key(|sample| sample.id);
    Ok(SampleIndex {
        // What the policies knew speaks of samples that are gone.
        policies: PolicyState::default(),
        spec: index.spec,
        spill: index.spill.clone(),
        samples: left,
    })
}
