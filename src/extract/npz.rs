//! Arrays that grow side by side → one `.npz`. Each array is a compressed archive of its own until the end, when their bytes
//! are copied, as they are, into one.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use npyz::zip::write::FileOptions;
use npyz::zip::{CompressionMethod, ZipArchive, ZipWriter};
use npyz::{DType, WriteOptions, WriterBuilder};

/// Deflate's fastest level: motion is mostly zeros and repetition, which it finds as well as the slow ones.
const LEVEL: i32 = 1;
/// From this size on, an entry of a zip file needs 64-bit sizes.
const LARGE: u64 = 0xfff0_0000;

/// One array under way.
struct Array {
    name: String,
    path: PathBuf,
    zip: ZipWriter<BufWriter<File>>,
    /// Bytes that the shape promises and that are not yet written.
    missing: u64,
}

/// Writes an `.npz`. Dropped before [`finish`](Self::finish), it leaves nothing behind.
pub struct NpzStreams {
    output: PathBuf,
    folder: PathBuf,
    arrays: Vec<Array>,
}

/// Which array: what [`NpzStreams::add`] gave.
#[derive(Clone, Copy, Debug)]
pub struct ArrayId(usize);

impl NpzStreams {
    /// Begins the file `output`; its parts are kept in a folder beside it.
    pub fn create(output: &Path) -> io::Result<NpzStreams> {
        let mut name = std::ffi::OsString::from(".");
        name.push(output.file_name().unwrap_or_default());
        name.push(format!(".{}.parts", std::process::id()));
        let folder = output.with_file_name(name);
        fs::create_dir_all(&folder)?;
        Ok(NpzStreams {
            output: output.to_owned(),
            folder,
            arrays: Vec::new(),
        })
    }

    /// Begins an array of this type and shape; its elements follow as bytes, little-endian, in C order.
    pub fn add(&mut self, name: &str, dtype: &str, shape: &[u64]) -> io::Result<ArrayId> {
        let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidInput, error);
        let dtype: npyz::TypeStr = dtype.parse().map_err(|_| invalid(format!("the type {dtype}")))?;
        let item = dtype
            .num_bytes()
            .ok_or_else(|| invalid(format!("the type {dtype}")))? as u64;
        let bytes = shape.iter().product::<u64>() * item;
        let path = self.folder.join(format!("{name}.zip"));
        let mut zip = ZipWriter::new(BufWriter::new(File::create(&path)?));
        let options = FileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(LEVEL))
            .last_modified_time(npyz::zip::DateTime::default())
            .large_file(bytes > LARGE);
        zip.start_file(npyz::npz::file_name_from_array_name(name), options)?;
        WriteOptions::new_header_only()
            .dtype(DType::Plain(dtype))
            .shape(shape)
            .writer(&mut zip)
            .write_header_only()?;
        self.arrays.push(Array {
            name: name.to_owned(),
            path,
            zip,
            missing: bytes,
        });
        Ok(ArrayId(self.arrays.len() - 1))
    }

    /// Appends elements to an array.
    pub fn write(&mut self, id: ArrayId, elements: &[u8]) -> io::Result<()> {
        let array = &mut self.arrays[id.0];
        let Some(missing) = array.missing.checked_sub(elements.len() as u64) else {
            let text = format!("more elements than the shape of {} has", array.name);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        };
        array.missing = missing;
        array.zip.write_all(elements)
    }

    /// An array whose elements are all there.
    pub fn whole(&mut self, name: &str, dtype: &str, shape: &[u64], elements: &[u8]) -> io::Result<()> {
        let id = self.add(name, dtype, shape)?;
        self.write(id, elements)
    }

    /// Joins the arrays and gives the file its name; gives its size in bytes.
    pub fn finish(mut self) -> io::Result<u64> {
        let joined = self.folder.join("joined.npz");
        let mut npz = ZipWriter::new(BufWriter::new(File::create(&joined)?));
        for mut array in self.arrays.drain(..) {
            if array.missing > 0 {
                let text = format!("the array {} lacks {} bytes", array.name, array.missing);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            array.zip.finish()?.flush()?;
            let mut part = ZipArchive::new(BufReader::new(File::open(&array.path)?))?;
            npz.raw_copy_file(part.by_index_raw(0)?)?;
            fs::remove_file(&array.path)?;
        }
        npz.finish()?.flush()?;
        let bytes = fs::metadata(&joined)?.len();
        fs::rename(&joined, &self.output)?;
        Ok(bytes)
    }
}

impl Drop for NpzStreams {
    fn drop(&mut self) {
        self.arrays.clear();
        // Nobody to tell: what could not be removed is named like what it is, the parts of an unfinished file.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Bytes of numbers, little-endian.
pub trait ToBytes: Copy {
    /// Appends them.
    fn append(self, bytes: &mut Vec<u8>);
}

macro_rules! to_bytes {
    ($($number:ty),*) => { $(
        impl ToBytes for $number {
            fn append(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        }
    )* };
}
to_bytes!(u8, i16, i32, i64, f32);

/// The bytes of a slice of numbers, in `bytes`.
pub fn bytes_of<'b, T: ToBytes>(numbers: &[T], bytes: &'b mut Vec<u8>) -> &'b [u8] {
    bytes.clear();
    for &number in numbers {
        number.append(bytes);
    }
    bytes
}
