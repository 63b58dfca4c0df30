use std::cell::RefCell;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::SpillError;

/// Ending of a segment's name.
const ENDING: &str = ".spill";

/// Zeros are written in pieces of this size.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

thread_local! {
    /// Records are read into this: a new one each time would be paged in anew, which takes longer than to read it.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One file of slots. Its name says how far apart they are, so that a folder can be read without any other file.
#[derive(Debug)]
pub(super) struct Segment {
    pub path: PathBuf,
    pub stride: u64,
    pub slots: u32,
    file: File,
    /// Written to since it was synced.
    dirty: AtomicBool,
}

fn name_of(number: u64, stride: u64) -> String {
    format!("{number:08}-{stride}{ENDING}")
}

/// The number and the stride in a segment's name.
fn parse(name: &str) -> Option<(u64, u64)> {
    let (number, stride) = name.strip_suffix(ENDING)?.split_once('-')?;
    let (number, stride) = (number.parse().ok()?, stride.parse().ok()?);
    (name_of(number, stride) == name && stride > 0).then_some((number, stride))
}

/// The segments in a folder: number, stride, path.
pub(super) fn segments_in(folder: &Path) -> Result<Vec<(u64, u64, PathBuf)>, SpillError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(SpillError::io("read", folder))? {
        let entry = entry.map_err(SpillError::io("read", folder))?;
        if let Some((number, stride)) = entry.file_name().to_str().and_then(parse) {
            found.push((number, stride, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

impl Segment {
    /// A new file of `slots` slots, all zero; takes no place on disk before they are written.
    pub fn create(folder: &Path, number: u64, stride: u64, slots: u32) -> Result<Self, SpillError> {
        let path = folder.join(name_of(number, stride));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(SpillError::io("create", &path))?;
        if let Err(error) = file.set_len(stride * u64::from(slots)) {
            let _ = fs::remove_file(&path);
            return Err(SpillError::io("create", path)(error));
        }
        Ok(Self {
            path,
            stride,
            slots,
            file,
            dirty: AtomicBool::new(true),
        })
    }

    /// A file that is there; `writable` says whether it will be written to.
    pub fn open(path: PathBuf, stride: u64, writable: bool) -> Result<Self, SpillError> {
        let file = File::options().read(true).write(writable).open(&path);
        let file = file.map_err(SpillError::io("open", &path))?;
        let bytes = file.metadata().map_err(SpillError::io("read", &path))?.len();
        Ok(Self {
            path,
            stride,
            slots: u32::try_from(bytes / stride).unwrap_or(u32::MAX),
            file,
            dirty: AtomicBool::new(false),
        })
    }

    pub fn bytes(&self) -> u64 {
        self.stride * u64::from(self.slots)
    }

    pub fn write(&self, slot: u32, record: &[u8]) -> Result<(), SpillError> {
        self.dirty.store(true, Ordering::Release);
        let written = self.file.write_all_at(record, u64::from(slot) * self.stride);
        written.map_err(SpillError::io("write", &self.path))
    }

    /// Gives a slot's first `bytes`, which must have the checksum `crc32`, to `take`.
    pub fn read<T>(
        &self,
        slot: u32,
        bytes: usize,
        crc32: u32,
        take: impl FnOnce(&[u8]) -> Result<T, SpillError>,
    ) -> Result<T, SpillError> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(bytes, 0);
            let read = self.file.read_exact_at(scratch, u64::from(slot) * self.stride);
            read.map_err(SpillError::io("read", &self.path))?;
            match crc32fast::hash(scratch) {
                found if found == crc32 => take(scratch),
                found => Err(SpillError::Damaged {
                    path: self.path.clone(),
                    slot,
                    expected: crc32,
                    found,
                }),
            }
        })
    }

    /// Puts zeros in the place of what a slot held.
    pub fn wipe(&self, slot: u32) -> Result<(), SpillError> {
        self.dirty.store(true, Ordering::Release);
        let begin = u64::from(slot) * self.stride;
        for offset in (0..self.stride).step_by(ZEROS.len()) {
            let bytes = (self.stride - offset).min(ZEROS.len() as u64) as usize;
            let written = self.file.write_all_at(&ZEROS[..bytes], begin + offset);
            written.map_err(SpillError::io("wipe", &self.path))?;
        }
        Ok(())
    }

    /// Brings what was written to the disk itself.
    pub fn sync(&self) -> Result<(), SpillError> {
        if self.dirty.swap(false, Ordering::AcqRel) {
            self.file.sync_all().map_err(|error| {
                self.dirty.store(true, Ordering::Release);
                SpillError::io("sync", &self.path)(error)
            })?;
        }
        Ok(())
    }

    pub fn delete(&self) -> Result<(), SpillError> {
        fs::remove_file(&self.path).map_err(SpillError::io("delete", &self.path))
    }
}
