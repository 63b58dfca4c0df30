use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use npyz::WriterBuilder;
use npyz::npz::NpzWriter;

use super::EvalError;

/// What an embeddings file holds of each video, in one order.
#[derive(Debug)]
pub struct Embedded<'a> {
    /// Features of unit length, row by row.
    pub features: &'a [f32],
    /// Columns of `features`.
    pub channels: usize,
    /// Class numbers.
    pub classes: &'a [usize],
    /// 0 train, 1 test, 2 where there is no split.
    pub parts: &'a [u8],
    /// Paths under the data set's folder.
    pub videos: &'a [String],
    /// Names of the classes.
    pub class_names: &'a [String],
}

/// Writes `features [N, C]` f32, `labels [N]` i64, `parts [N]` u8, and the texts `videos` and `classes` as bytes, a name a
/// line, to an `.npz` file, beside its place and renamed. In Python: `bytes(z["videos"]).decode().splitlines()`.
pub fn write_embeddings(path: &Path, embedded: &Embedded<'_>) -> Result<(), EvalError> {
    let failed = |error: std::io::Error| EvalError::Write {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let partial = path.with_extension("npz.part");
    write(&partial, embedded)
        .and_then(|()| std::fs::rename(&partial, path))
        .map_err(failed)
}

fn write(path: &Path, embedded: &Embedded<'_>) -> std::io::Result<()> {
    let count = embedded.classes.len() as u64;
    let mut archive = NpzWriter::new(BufWriter::new(File::create(path)?));
    let options = Default::default;
    let mut features = archive
        .array("features", options())?
        .default_dtype()
        .shape(&[count, embedded.channels as u64])
        .begin_nd()?;
    features.extend(embedded.features)?;
    features.finish()?;
    let mut labels = archive
        .array("labels", options())?
        .default_dtype()
        .shape(&[count])
        .begin_nd()?;
    labels.extend(embedded.classes.iter().map(|&class| class as i64))?;
    labels.finish()?;
    let mut bytes = |name: &str, values: &[u8]| -> std::io::Result<()> {
        let mut array = archive
            .array(name, options())?
            .default_dtype()
            .shape(&[values.len() as u64])
            .begin_nd()?;
        array.extend(values)?;
        array.finish()
    };
    bytes("parts", embedded.parts)?;
    bytes("videos", embedded.videos.join("\n").as_bytes())?;
    bytes("classes", embedded.class_names.join("\n").as_bytes())?;
    let mut file = archive.zip_writer().finish()?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use npyz::npz::NpzArchive;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.npz");
        let embedded = Embedded {
            features: &[0.6, 0.8, 1.0, 0.0],
            channels: 2,
            classes: &[1, 0],
            parts: &[0, 1],
            videos: &["a/1.mp4".into(), "b/2.mp4".into()],
            class_names: &["a".into(), "b".into()],
        };
        write_embeddings(&path, &embedded).unwrap();
        let mut archive = NpzArchive::open(&path).unwrap();
        let features = archive.by_name("features").unwrap().unwrap();
        assert_eq!(features.shape(), [2, 2]);
        assert_eq!(features.into_vec::<f32>().unwrap(), [0.6, 0.8, 1.0, 0.0]);
        assert_eq!(
            archive
                .by_name("labels")
                .unwrap()
                .unwrap()
                .into_vec::<i64>()
                .unwrap(),
            [1, 0]
        );
        let videos = archive
            .by_name("videos")
            .unwrap()
            .unwrap()
            .into_vec::<u8>()
            .unwrap();
        assert_eq!(String::from_utf8(videos).unwrap(), "a/1.mp4\nb/2.mp4");
    }
}
