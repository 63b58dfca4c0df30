use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use super::{DecodeError, rgb};
use crate::window::FrameSize;

/// How long a decoder may be silent before the file counts as broken.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// A picture of a [`VideoReader`]: packed RGB, `[height, width, 3]`, one byte a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFrame {
    /// Position in display order, from 0.
    pub index: u64,
    /// Presentation time in nanoseconds, where the file has one.
    pub pts_ns: Option<u64>,
    /// Columns and rows.
    pub size: FrameSize,
    /// `height * width * 3` bytes.
    pub pixels: Vec<u8>,
}

/// Decodes a whole video file of any codec that GStreamer decodes, in display order; for evaluation, not for training.
///
/// An iterator over frames; after an error it ends. Memory is bounded: the decoder waits for the reader. Rotation tags are
/// not followed. Pictures are stretched to the size asked for, without borders.
#[derive(Debug)]
pub struct VideoReader {
    path: PathBuf,
    pipeline: gst::Pipeline,
    frames: gst_app::AppSink,
    bus: gst::Bus,
    tracks: Arc<Mutex<Tracks>>,
    first: Option<gst::Sample>,
    native: gst_video::VideoInfo,
    frames_read: u64,
    ended: bool,
}

/// What the demuxer offered, written by its thread.
#[derive(Debug, Default)]
struct Tracks {
    video: Option<gst::Pad>,
    others: Vec<String>,
    all_known: bool,
}

impl VideoReader {
    /// Opens `path` and decodes its first frame. With `size`, frames are scaled to it; without, they keep their own.
    pub fn open(path: &Path, size: Option<FrameSize>) -> Result<Self, DecodeError> {
        DecodeError::init_gstreamer()?;
        check_readable(path)?;
        let gst_failed = |error: gst::glib::BoolError| DecodeError::GStreamer {
            message: error.to_string(),
        };
        let make = |element: &str| gst::ElementFactory::make(element).build().map_err(gst_failed);
        let pipeline = gst::Pipeline::new();
        let source = make("filesrc")?;
        source.set_property("location", path.to_path_buf());
        let decoder = make("decodebin")?;
        // Other tracks are neither decoded nor offered.
        let any_raw_video = gst::Caps::builder("video/x-raw").any_features().build();
        decoder.set_property("caps", any_raw_video);
        decoder.set_property("expose-all-streams", false);
        let converter = make("videoconvertscale")?;
        converter.set_property("add-borders", false);
        let frames = gst_app::AppSink::builder()
            .caps(&rgb::rgb_caps(size))
            .sync(false)
            .max_buffers(4)
            .build();
        pipeline
            .add_many([&source, &decoder, &converter, frames.upcast_ref()])
            .and_then(|()| source.link(&decoder))
            .and_then(|()| converter.link(&frames))
            .map_err(gst_failed)?;
        let tracks = Arc::new(Mutex::new(Tracks::default()));
        watch_tracks(&decoder, &converter, &tracks);
        let bus = pipeline.bus().ok_or_else(|| DecodeError::GStreamer {
            message: "a pipeline without a bus".to_owned(),
        })?;
        let mut reader = Self {
            path: path.to_owned(),
            pipeline,
            frames,
            bus,
            tracks,
            first: None,
            native: gst_video::VideoInfo::builder(gst_video::VideoFormat::Rgb, 1, 1)
                .build()
                .map_err(gst_failed)?,
            frames_read: 0,
            ended: false,
        };
        // A failed start says why on the bus, which `pull` reads.
        let _ = reader.pipeline.set_state(gst::State::Playing);
        reader.first = reader.pull()?;
        reader.native = reader.native_format().ok_or_else(|| DecodeError::NoVideo {
            path: path.to_owned(),
            found: "a video track without a single picture".to_owned(),
        })?;
        Ok(reader)
    }

    /// The video's own size before scaling.
    pub fn native_size(&self) -> FrameSize {
        FrameSize {
            width: self.native.width(),
            height: self.native.height(),
        }
    }

    /// Nominal frames per second as a fraction; none where the file does not say or the rate varies.
    pub fn frame_rate(&self) -> Option<(u32, u32)> {
        let rate = self.native.fps();
        let positive = |part: i32| u32::try_from(part).ok().filter(|part| *part > 0);
        positive(rate.numer()).zip(positive(rate.denom()))
    }

    /// The container's word on the video's length.
    pub fn duration(&self) -> Option<Duration> {
        self.pipeline
            .query_duration::<gst::ClockTime>()
            .map(|duration| Duration::from_nanos(duration.nseconds()))
    }

    /// Frames that the container promises (length × rate, rounded). Exact only for constant frame rates; after the last
    /// frame, [`Self::frames_read`] is.
    pub fn estimated_frames(&self) -> Option<u64> {
        let (numerator, denominator) = self.frame_rate()?;
        let frames = self.duration()?.as_secs_f64() * f64::from(numerator) / f64::from(denominator);
        Some(frames.round() as u64)
    }

    /// Frames given out so far.
    pub fn frames_read(&self) -> u64 {
        self.frames_read
    }

    fn native_format(&self) -> Option<gst_video::VideoInfo> {
        self.first.as_ref()?;
        let tracks = self.tracks();
        let caps = tracks.video.as_ref()?.current_caps()?;
        gst_video::VideoInfo::from_caps(&caps).ok()
    }

    /// The next sample; none at the end of the file.
    fn pull(&mut self) -> Result<Option<gst::Sample>, DecodeError> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(sample) = self.frames.try_pull_sample(POLL) {
                return Ok(Some(sample));
            }
            if self.frames.is_eos() {
                return Ok(None);
            }
            if let Some(message) = self.bus.pop_filtered(&[gst::MessageType::Error])
                && let gst::MessageView::Error(error) = message.view()
            {
                return Err(self.failure(error));
            }
            let tracks = self.tracks();
            if tracks.all_known && tracks.video.is_none() {
                return Err(no_video(&self.path, &tracks));
            }
            drop(tracks);
            if Instant::now() > give_up {
                return Err(DecodeError::File {
                    path: self.path.clone(),
                    frames: self.frames_read,
                    message: format!("no picture for {PATIENCE:?}"),
                });
            }
        }
    }

    fn tracks(&self) -> MutexGuard<'_, Tracks> {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, error: &gst::message::Error) -> DecodeError {
        let path = self.path.clone();
        let detail = error.debug().map(|detail| detail.to_string()).unwrap_or_default();
        let mut tracks = self.tracks();
        if tracks.video.is_none() {
            let missing = missing_decoders(&detail);
            if let Some(video) = missing.iter().find(|track| track.contains("(video/")) {
                let message =
                    format!("no decoder is installed for {video}; the package gstreamer1.0-libav has most");
                return DecodeError::Open { path, message };
            }
            tracks.others.extend(missing);
            if !tracks.others.is_empty() {
                return no_video(&path, &tracks);
            }
        }
        let message = match detail.is_empty() {
            true => error.error().to_string(),
            false => format!("{} ({detail})", error.error()),
        };
        match self.frames_read {
            0 => DecodeError::Open { path, message },
            frames => DecodeError::File {
                path,
                frames,
                message,
            },
        }
    }
}

/// Tracks that decodebin found no decoder for: its error lists them, `Missing decoder: NAME (CAPS)`, and nothing else does.
fn missing_decoders(detail: &str) -> Vec<String> {
    let of_line = |line: &str| {
        Some(
            line.strip_prefix("Missing decoder: ")?
                .split(',')
                .next()?
                .to_owned(),
        )
    };
    let close = |track: String| if track.ends_with(')') { track } else { track + ")" };
    detail.lines().filter_map(of_line).map(close).collect()
}

impl Iterator for VideoReader {
    type Item = Result<VideoFrame, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let sample = match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.pull(),
        };
        let frame = sample.and_then(|sample| {
            let Some(sample) = sample else { return Ok(None) };
            let (size, pixels) = rgb::packed_pixels(&sample).map_err(|message| DecodeError::File {
                path: self.path.clone(),
                frames: self.frames_read,
                message,
            })?;
            let pts_ns = sample
                .buffer()
                .and_then(gst::BufferRef::pts)
                .map(gst::ClockTime::nseconds);
            let index = self.frames_read;
            self.frames_read += 1;
            Ok(Some(VideoFrame {
                index,
                pts_ns,
                size,
                pixels,
            }))
        });
        self.ended = !matches!(frame, Ok(Some(_)));
        frame.transpose()
    }
}

impl Drop for VideoReader {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn check_readable(path: &Path) -> Result<(), DecodeError> {
    let open = |message: String| DecodeError::Open {
        path: path.to_owned(),
        message,
    };
    let metadata = std::fs::metadata(path).map_err(|error| open(error.to_string()))?;
    match metadata {
        m if m.is_dir() => Err(open("is a folder, not a video file".to_owned())),
        m if m.is_file() && m.len() == 0 => Err(open("the file is empty".to_owned())),
        _ => Ok(()),
    }
}

fn no_video(path: &Path, tracks: &Tracks) -> DecodeError {
    DecodeError::NoVideo {
        path: path.to_owned(),
        found: match tracks.others.as_slice() {
            [] => "nothing".to_owned(),
            others => others.join(", "),
        },
    }
}

/// Links the first decoded video track to the converter; takes note of the others.
fn watch_tracks(decoder: &gst::Element, converter: &gst::Element, tracks: &Arc<Mutex<Tracks>>) {
    decoder.connect_pad_added({
        let (tracks, sink) = (tracks.clone(), converter.static_pad("sink"));
        move |_, pad| {
            let mut tracks = tracks.lock().unwrap_or_else(PoisonError::into_inner);
            let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            let kind = media_type(&caps);
            let linked = tracks.video.is_none()
                && kind.starts_with("video/x-raw")
                && sink.as_ref().is_some_and(|sink| pad.link(sink).is_ok());
            match linked {
                true => tracks.video = Some(pad.clone()),
                false => tracks.others.push(kind),
            }
        }
    });
    decoder.connect_no_more_pads({
        let tracks = tracks.clone();
        move |_| tracks.lock().unwrap_or_else(PoisonError::into_inner).all_known = true
    });
}

fn media_type(caps: &gst::Caps) -> String {
    caps.structure(0)
        .map(|caps| caps.name().to_string())
        .unwrap_or_default()
}
