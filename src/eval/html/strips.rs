//! Which videos are shown, and their pictures.

use std::path::Path;

use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use super::super::read::read_clips;
use super::super::report::EvalReport;
use super::super::score::Comparison;
use crate::window::{FrameSize, SampleSpec};

/// Videos asked about that are shown; the same number of each class, as far as it goes.
const QUERIES: usize = 12;
/// Neighbours of each.
const NEIGHBOURS: usize = 5;
/// Pictures of a strip, and source pictures between them.
const PICTURES: u32 = 4;
const STRIDE: u32 = 6;
const PICTURE: FrameSize = FrameSize {
    width: 96,
    height: 72,
};

/// A video that is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its path under the data set's folder.
    pub name: String,
    /// Its class.
    pub class: usize,
    /// A `data:` address; none where no picture could be made.
    pub image: Option<String>,
}

/// A video asked about, with the nearest of those searched and their cosines.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub query: Shown,
    pub neighbours: Vec<(Shown, f32)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gallery {
    pub rows: Vec<Row>,
    /// Videos whose pictures could not be made, with the reason.
    pub failed: Vec<String>,
}

/// The rows of the gallery; empty unless the report is of retrieval.
pub fn gallery(report: &EvalReport, comparison: &Comparison<'_>, paths: &[&Path]) -> Gallery {
    let mut gallery = Gallery::default();
    if report.retrieval.is_none() {
        return gallery;
    }
    let shown = |video: usize, failed: &mut Vec<String>| {
        let name = paths[video]
            .strip_prefix(&report.dataset.root)
            .unwrap_or(paths[video])
            .display()
            .to_string();
        let image = match strip_of(paths[video]) {
            Ok(image) => Some(image),
            Err(reason) => {
                failed.push(format!("{name}: {reason}"));
                None
            }
        };
        Shown {
            name,
            class: comparison.classes[video],
            image,
        }
    };
    for query in chosen(comparison) {
        let mut nearest: Vec<(f32, usize)> = comparison
            .gallery(query)
            .into_iter()
            .map(|item| (comparison.features.cosine(query, item), item))
            .collect();
        nearest.sort_by(|a, b| b.0.total_cmp(&a.0));
        let row = Row {
            query: shown(query, &mut gallery.failed),
            neighbours: nearest
                .into_iter()
                .take(NEIGHBOURS)
                .map(|(cosine, item)| (shown(item, &mut gallery.failed), cosine))
                .collect(),
        };
        gallery.rows.push(row);
    }
    gallery
}

/// The first of each class, then the second, and so on.
fn chosen(comparison: &Comparison<'_>) -> Vec<usize> {
    let (_, queries) = comparison.queries();
    let mut by_class = vec![Vec::new(); comparison.class_count];
    for query in queries {
        by_class[comparison.classes[query]].push(query);
    }
    let rounds = by_class.iter().map(Vec::len).max().unwrap_or(0);
    let mut chosen: Vec<usize> = (0..rounds)
        .flat_map(|nth| by_class.iter().filter_map(move |videos| videos.get(nth).copied()))
        .take(QUERIES)
        .collect();
    chosen.sort_by_key(|&query| comparison.classes[query]);
    chosen
}

/// Four pictures from the middle of a video, side by side, as a JPEG in a `data:` address.
fn strip_of(path: &Path) -> Result<String, String> {
    let spec = SampleSpec {
        clip_frames: PICTURES,
        clip_stride: STRIDE,
        target_offset: 0,
        target_frames: 1,
        hard_negatives: 0,
        key_frame_margin: 0,
        frame_size: PICTURE,
        motion_size: PICTURE,
    };
    let clip = read_clips(path, spec, 1).map_err(|error| error.to_string())?;
    let row_bytes = 3 * PICTURE.width as usize;
    let picture_bytes = row_bytes * PICTURE.height as usize;
    let mut pixels = Vec::with_capacity(clip.pixels.len());
    for row in 0..PICTURE.height as usize {
        for picture in clip.pixels.chunks(picture_bytes) {
            pixels.extend_from_slice(&picture[row * row_bytes..(row + 1) * row_bytes]);
        }
    }
    let size = FrameSize {
        width: PICTURES * PICTURE.width,
        height: PICTURE.height,
    };
    let jpeg = jpeg(pixels, size)?;
    Ok(format!("data:image/jpeg;base64,{}", base64(&jpeg)))
}

/// Packed RGB → a JPEG file.
fn jpeg(pixels: Vec<u8>, size: FrameSize) -> Result<Vec<u8>, String> {
    let pipeline = gst::parse::launch(
        "appsrc name=in format=time ! videoconvert ! jpegenc quality=82 ! appsink name=out sync=false",
    )
    .map_err(|error| error.to_string())?
    .downcast::<gst::Pipeline>()
    .map_err(|_| "no pipeline".to_owned())?;
    let source = pipeline
        .by_name("in")
        .and_then(|element| element.downcast::<gst_app::AppSrc>().ok());
    let sink = pipeline
        .by_name("out")
        .and_then(|element| element.downcast::<gst_app::AppSink>().ok());
    let (source, sink) = source.zip(sink).ok_or("a pipeline without ends")?;
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    let caps = gst_video::VideoCapsBuilder::new()
        .format(gst_video::VideoFormat::Rgb)
        .width(side(size.width))
        .height(side(size.height))
        .framerate(gst::Fraction::new(1, 1))
        .build();
    source.set_caps(Some(&caps));
    let encoded = (|| {
        pipeline
            .set_state(gst::State::Playing)
            .map_err(|error| error.to_string())?;
        source
            .push_buffer(gst::Buffer::from_slice(pixels))
            .map_err(|error| error.to_string())?;
        source.end_of_stream().map_err(|error| error.to_string())?;
        let sample = sink
            .try_pull_sample(gst::ClockTime::from_seconds(20))
            .ok_or("the JPEG encoder gave nothing")?;
        let buffer = sample.buffer().ok_or("a sample without a buffer")?;
        let map = buffer.map_readable().map_err(|error| error.to_string())?;
        Ok(map.as_slice().to_vec())
    })();
    let stopped = pipeline.set_state(gst::State::Null);
    encoded.and_then(|bytes: Vec<u8>| stopped.map(|_| bytes).map_err(|error| error.to_string()))
}

/// RFC 4648, section 4.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |n: usize| u32::from(group.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= group.len() {
                char::from(DIGITS[value])
            } else {
                '='
            });
        }
    }
    text
}
