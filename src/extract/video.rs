//! The second pass over a video: its frames, in display order, into arrays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::arrays::FrameArrays;
use super::npz::{ArrayId, NpzStreams, ToBytes, bytes_of};
use super::plan::{FrameCount, Grid, Part, Plan};
use super::rows::{COLUMNS, append_rows};
use super::{ExtractError, Layout};
use crate::h264::{MotionField, PictureType};
use crate::inspect::walk::Walk;

/// Frames held for their turn in display order, at most: H.264 allows sixteen (clause A.3.1).
const MOST_HELD: usize = 32;

/// The file of a video's part: `NAME.npz`, and where the size changes in mid-stream `NAME.2.npz` and so on.
pub fn output_of(folder: &Path, video: &Path, part: usize) -> PathBuf {
    let mut name = video.file_stem().unwrap_or_default().to_owned();
    if part > 0 {
        name.push(format!(".{}", part + 1));
    }
    name.push(".npz");
    folder.join(name)
}

/// Writes the plan's parts; gives the files and their bytes.
pub fn write_video(
    video: &Path,
    folder: &Path,
    layout: Layout,
    plan: &Plan,
    progress: &dyn Fn(),
) -> Result<Vec<(PathBuf, u64)>, ExtractError> {
    let changed = || ExtractError::Changed(video.to_owned());
    let mut walk = Walk::open(video)?;
    let mut written = Vec::new();
    let mut parts = plan.parts.iter();
    let mut open: Option<PartWriter<'_>> = None;
    let mut count = FrameCount::default();
    let mut failure = None;
    while let Some((unit, decoder)) = walk.next()? {
        let segment = unit.segment;
        // What is wrong with the stream was told by the first pass.
        let _ = decoder.decode(&unit.data, &mut |picture| {
            let mut step = || {
                let begins = count.begins(segment, picture);
                if open
                    .as_ref()
                    .is_none_or(|part| part.part.grid != Grid::of(picture))
                {
                    if let Some(part) = open.take() {
                        written.push(part.finish()?);
                    }
                    let part = parts.next().ok_or_else(changed)?;
                    let output = output_of(folder, video, written.len());
                    open = Some(PartWriter::create(video, output, layout, part)?);
                }
                let part = open.as_mut().ok_or_else(changed)?;
                part.picture(picture, begins)
            };
            if failure.is_none() {
                failure = step().err();
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        progress();
    }
    if let Some(part) = open.take() {
        written.push(part.finish()?);
    }
    if parts.next().is_some() {
        return Err(changed());
    }
    Ok(written)
}

/// A frame that waits for its turn.
enum Frame {
    Arrays(Box<FrameArrays>),
    Rows(Vec<i32>),
}

/// The arrays of a part that grow by frames.
enum Growing {
    Arrays {
        motion: ArrayId,
        vectors: ArrayId,
        reference_distance: ArrayId,
        intra: ArrayId,
    },
    Rows(ArrayId),
}

struct PartWriter<'p> {
    video: &'p Path,
    output: PathBuf,
    part: &'p Part,
    npz: NpzStreams,
    growing: Growing,
    /// Frames in coding order so far.
    begun: usize,
    /// The frame under way, whose second field may follow.
    current: Option<Frame>,
    held: BTreeMap<u64, Frame>,
    next_rank: u64,
    bytes: Vec<u8>,
}

impl<'p> PartWriter<'p> {
    fn create(
        video: &'p Path,
        output: PathBuf,
        layout: Layout,
        part: &'p Part,
    ) -> Result<PartWriter<'p>, ExtractError> {
        let begin = || {
            let mut npz = NpzStreams::create(&output)?;
            let growing = begin_arrays(&mut npz, layout, part)?;
            Ok((npz, growing))
        };
        let (npz, growing) = begin().map_err(ExtractError::write(&output))?;
        Ok(PartWriter {
            video,
            output,
            part,
            npz,
            growing,
            begun: 0,
            current: None,
            held: BTreeMap::new(),
            next_rank: 0,
            bytes: Vec::new(),
        })
    }

    fn picture(&mut self, picture: &MotionField<'_>, begins: bool) -> Result<(), ExtractError> {
        if begins {
            self.frame_ends()?;
            self.begun += 1;
            self.current = Some(match self.growing {
                Growing::Arrays { .. } => Frame::Arrays(Box::new(FrameArrays::new(self.part.grid))),
                Growing::Rows(_) => Frame::Rows(Vec::new()),
            });
        }
        match &mut self.current {
            Some(Frame::Arrays(arrays)) => arrays.add(picture, self.part.poc_per_frame),
            Some(Frame::Rows(rows)) => append_rows(picture, rows),
            None => return Err(ExtractError::Changed(self.video.to_owned())),
        }
        Ok(())
    }

    fn frame_ends(&mut self) -> Result<(), ExtractError> {
        let Some(frame) = self.current.take() else {
            return Ok(());
        };
        let Some(&rank) = self.part.ranks.get(self.begun - 1) else {
            return Err(ExtractError::Changed(self.video.to_owned()));
        };
        self.held.insert(rank, frame);
        while let Some(frame) = self.held.remove(&self.next_rank) {
            self.write(&frame).map_err(ExtractError::write(&self.output))?;
            self.next_rank += 1;
        }
        if self.held.len() > MOST_HELD {
            return Err(ExtractError::OutOfOrder {
                video: self.video.to_owned(),
                frame: self.begun - 1,
                limit: MOST_HELD,
            });
        }
        Ok(())
    }

    fn write(&mut self, frame: &Frame) -> std::io::Result<()> {
        let (npz, bytes) = (&mut self.npz, &mut self.bytes);
        match (frame, &self.growing) {
            (
                Frame::Arrays(frame),
                Growing::Arrays {
                    motion,
                    vectors,
                    reference_distance,
                    intra,
                },
            ) => {
                npz.write(*motion, bytes_of(&frame.motion, bytes))?;
                npz.write(*vectors, bytes_of(&frame.vectors, bytes))?;
                npz.write(*reference_distance, bytes_of(&frame.reference_distance, bytes))?;
                npz.write(*intra, &frame.intra)
            }
            (Frame::Rows(rows), Growing::Rows(id)) => npz.write(*id, bytes_of(rows, bytes)),
            _ => Err(std::io::Error::other("a frame of another layout")),
        }
    }

    fn finish(mut self) -> Result<(PathBuf, u64), ExtractError> {
        self.frame_ends()?;
        let bytes = self.npz.finish().map_err(ExtractError::write(&self.output))?;
        Ok((self.output, bytes))
    }
}

/// Writes what is known before the frames, begins what grows by them.
fn begin_arrays(npz: &mut NpzStreams, layout: Layout, part: &Part) -> std::io::Result<Growing> {
    let frames = part.ranks.len();
    let t = frames as u64;
    let mut shown_order = vec![0usize; frames];
    for (coded, &rank) in part.ranks.iter().enumerate() {
        shown_order[rank as usize] = coded;
    }
    let shown =
        |values: &dyn Fn(usize) -> i64| -> Vec<i64> { shown_order.iter().map(|&c| values(c)).collect() };
    let mut bytes = Vec::new();
    let mut whole = |npz: &mut NpzStreams, name: &str, dtype: &str, shape: &[u64], numbers: &[i64]| {
        bytes.clear();
        for &number in numbers {
            match dtype {
                "<i4" => (number as i32).append(&mut bytes),
                _ => number.append(&mut bytes),
            }
        }
        npz.whole(name, dtype, shape, &bytes)
    };
    let pts = shown(&|coded| part.pts_ns[coded].map_or(-1, |pts| i64::try_from(pts).unwrap_or(i64::MAX)));
    whole(npz, "pts_ns", "<i8", &[t], &pts)?;
    // numpy's strings of one character are UCS-4.
    let letters = shown(&|coded| {
        i64::from(u32::from(match part.types[coded] {
            PictureType::I => 'I',
            PictureType::P => 'P',
            PictureType::B => 'B',
        }))
    });
    let letters: Vec<i32> = letters.into_iter().map(|letter| letter as i32).collect();
    npz.whole("frame_types", "<U1", &[t], bytes_of(&letters, &mut Vec::new()))?;
    whole(npz, "coded_order", "<i8", &[t], &shown(&|coded| coded as i64))?;
    let [width, height] = part.grid.shown().map(i64::from);
    whole(npz, "size", "<i4", &[2], &[height, width])?;
    whole(npz, "crop", "<i4", &[4], &part.grid.crop.map(i64::from))?;
    whole(npz, "poc_per_frame", "<i4", &[], &[i64::from(part.poc_per_frame)])?;
    if layout == Layout::MvExtractor {
        let mut offsets = vec![0];
        let mut total = 0;
        for &coded in &shown_order {
            total += i64::from(part.rows[coded]);
            offsets.push(total);
        }
        whole(npz, "offsets", "<i8", &[t + 1], &offsets)?;
        let id = npz.add("motion_vectors", "<i4", &[total as u64, COLUMNS as u64])?;
        return Ok(Growing::Rows(id));
    }
    let (h, w) = (part.grid.rows as u64, part.grid.columns as u64);
    Ok(Growing::Arrays {
        motion: npz.add("motion", "<f4", &[t, h, w, 2])?,
        vectors: npz.add("vectors", "<i2", &[t, h, w, 2, 2])?,
        reference_distance: npz.add("reference_distance", "<i2", &[t, h, w, 2])?,
        intra: npz.add("intra", "|b1", &[t, h, w])?,
    })
}
