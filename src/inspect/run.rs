use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use gstreamer as gst;
use indicatif::{ProgressBar, ProgressStyle};

use super::InspectError;
use super::displacement::Displacements;
use super::entropy::EntropyCoders;
use super::overlay_writer::{OverlayOptions, write_overlay};
use super::report::{
    ErrorFacts, INSPECT_SCHEMA, InspectReport, ReferenceFacts, SpeedFacts, StreamError, StreamFacts,
};
use super::speed::{Stopwatch, TimeTaken};
use super::statistics::{MacroblockCounts, MotionTotals};
use super::survey::{Survey, UnitFacts};
use super::walk::Walk;
use crate::h264::{FrameMotion, MotionField, PictureType};
use crate::ingest::VideoFormat;

/// Errors kept for the report; all are counted.
const KEPT_ERRORS: usize = 1000;
/// Less processor time is not reported.
const LEAST_CPU_TIME: Duration = Duration::from_millis(50);
/// Frame ids kept of past B frames: more than a decoder can refer to.
const RECENT_B_FRAMES: usize = 64;

/// What `comove inspect` is asked for; a field an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectOptions {
    /// The video file.
    pub video: PathBuf,
    /// `--overlay` and what goes with it.
    pub overlay: Option<OverlayOptions>,
}

/// Looks at a video: once for what its headers say and how fast it goes, once for its motion, and for `--overlay` once more.
/// Memory does not grow with its length but for some 60 bytes a frame.
///
/// # Errors
/// A file that is no H.264 video, breaks off, or has no picture that can be decoded; an overlay folder that cannot be
/// written to. Errors within the stream are part of the report.
pub fn inspect(options: &InspectOptions) -> Result<InspectReport, InspectError> {
    let video = options.video.as_path();
    if video.is_dir() {
        return Err(InspectError::Folder(video.to_owned()));
    }
    let progress = spinner();
    let first = FirstPass::over(video, &progress)?;
    if first.survey.frames().is_empty() {
        return Err(InspectError::NoPicture {
            video: video.to_owned(),
            access_units: first.survey.picture_facts().access_units,
            first: first
                .errors
                .first
                .into_iter()
                .next()
                .map(|error| error.message)
                .unwrap_or_default(),
        });
    }
    let second = SecondPass::over(video, first.survey.poc_per_frame(), &progress)?;
    let overlay = match &options.overlay {
        Some(overlay) => {
            progress.set_message("drawing");
            let fast = second.motion.percentile_of_moving(0.75);
            Some(write_overlay(
                video,
                overlay,
                &first.survey,
                fast.unwrap_or_default(),
            )?)
        }
        None => None,
    };
    progress.finish_and_clear();
    let stream = first.stream_facts();
    let (reference_b, non_reference) = first.survey.reference_counts();
    Ok(InspectReport {
        schema: INSPECT_SCHEMA,
        file: video.to_owned(),
        file_bytes: std::fs::metadata(video)
            .map(|metadata| metadata.len())
            .unwrap_or(0),
        pictures: first.survey.picture_facts(),
        bits: first.survey.bit_facts(stream.duration_seconds),
        gops: first.survey.gop_facts(),
        references: ReferenceFacts {
            max_used: second.max_references,
            reorder_depth: first.survey.reorder_depth(),
            reference_b,
            b_pyramid: second.b_refers_to_b,
            non_reference,
        },
        motion: second.motion.facts(),
        speed: speed_facts(first.survey.frames().len(), first.watch.taken()),
        stream,
        errors: first.errors,
        overlay,
    })
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {pos} access units, {elapsed}") {
        bar.set_style(style);
    }
    bar
}

fn speed_facts(frames: usize, taken: TimeTaken) -> SpeedFacts {
    let frames = frames as f64;
    let wall_seconds = taken.wall.as_secs_f64();
    // The system's count rises in steps of some milliseconds: below that it says nothing.
    let cpu = taken.cpu.filter(|&cpu| cpu >= LEAST_CPU_TIME);
    SpeedFacts {
        frames_per_second: frames / wall_seconds.max(1e-9),
        wall_seconds,
        frames_per_cpu_second: cpu.map(|cpu| frames / cpu.as_secs_f64()),
        cpu_seconds: cpu.map(|cpu| cpu.as_secs_f64()),
    }
}

/// Headers, errors, and the time that decoding takes.
#[derive(Default)]
struct FirstPass {
    survey: Survey,
    coders: EntropyCoders,
    watch: Stopwatch,
    errors: ErrorFacts,
    format: Option<VideoFormat>,
    shown_size: Option<[u32; 2]>,
    segments: u64,
}

impl FirstPass {
    fn over(video: &Path, progress: &ProgressBar) -> Result<Self, InspectError> {
        let mut pass = Self::default();
        let mut walk = Walk::open(video)?;
        progress.set_message("reading headers");
        let mut headers = Vec::new();
        while let Some((unit, decoder)) = walk.next()? {
            headers.clear();
            let mut note = |picture: &MotionField<'_>| headers.push((*picture.header(), picture.frame_id()));
            let result = pass.watch.time(|| decoder.decode(&unit.data, &mut note));
            pass.survey.add_unit();
            pass.coders.add_unit(&unit.data);
            if pass.format.is_none() {
                pass.format = Some(VideoFormat::clone(&unit.format));
            }
            let facts = UnitFacts {
                segment: unit.segment,
                bytes: unit.data.len() as u64,
                pts_ns: unit.pts_ns,
            };
            for (nth, (header, frame_id)) in headers.iter().enumerate() {
                let [left, top, right, bottom] = header.crop;
                pass.shown_size.get_or_insert([
                    header.width.saturating_sub(left + right),
                    header.height.saturating_sub(top + bottom),
                ]);
                pass.survey.add_picture(header, *frame_id, facts, nth == 0);
            }
            if let Err(error) = result {
                pass.errors.count += 1;
                if pass.errors.first.len() < KEPT_ERRORS {
                    pass.errors.first.push(StreamError {
                        access_unit: unit.index,
                        message: error.to_string(),
                    });
                }
            }
            progress.inc(1);
        }
        pass.segments = walk.segments();
        Ok(pass)
    }

    fn stream_facts(&self) -> StreamFacts {
        let caps = self
            .format
            .as_ref()
            .and_then(|format| gst::Caps::from_str(&format.caps).ok());
        let structure = caps.as_ref().and_then(|caps| caps.structure(0));
        let text = |field: &str| structure.and_then(|caps| caps.get::<String>(field).ok());
        let frame_rate = self
            .format
            .as_ref()
            .map(|format| format.frame_rate)
            .filter(|&(frames, seconds)| frames > 0 && seconds > 0)
            .map(|(frames, seconds)| [frames, seconds]);
        let [width, height] = self.shown_size.unwrap_or_default();
        StreamFacts {
            profile: text("profile"),
            level: text("level"),
            width,
            height,
            bit_depth: structure.and_then(|caps| caps.get::<u32>("bit-depth-luma").ok()),
            chroma_format: text("chroma-format"),
            frame_rate,
            duration_seconds: self.survey.duration_seconds(frame_rate),
            scan: self.survey.scan(),
            entropy_coder: self.coders.name(),
            segments: self.segments,
        }
    }
}

/// Motion and references.
#[derive(Default)]
struct SecondPass {
    motion: MotionTotals,
    max_references: usize,
    b_refers_to_b: bool,
}

impl SecondPass {
    fn over(video: &Path, poc_per_frame: i32, progress: &ProgressBar) -> Result<Self, InspectError> {
        let mut pass = Self::default();
        let mut walk = Walk::open(video)?;
        progress.set_position(0);
        progress.set_message("measuring motion");
        let mut buffer = FrameMotion::default();
        let mut recent_b = std::collections::VecDeque::new();
        let mut segment = None;
        while let Some((unit, decoder)) = walk.next()? {
            if segment != Some(unit.segment) {
                // The decoder is a new one and numbers frames anew.
                recent_b.clear();
                segment = Some(unit.segment);
            }
            let mut add = |picture: &MotionField<'_>| {
                let coded_type = picture.header().slice_types.coded_type();
                if coded_type == PictureType::I {
                    return;
                }
                picture.frame_motion(&mut buffer);
                pass.motion.add(
                    &Displacements::of(&buffer, poc_per_frame),
                    macroblock_counts(picture),
                );
                let references = picture.refers_to();
                pass.max_references = pass.max_references.max(references.len());
                if coded_type == PictureType::B {
                    // The other field of the same frame does not make a pyramid.
                    let other_b = |id: u32| id != picture.frame_id() && recent_b.contains(&id);
                    pass.b_refers_to_b |= references.iter().any(|reference| other_b(reference.frame_id));
                    recent_b.push_back(picture.frame_id());
                    if recent_b.len() > RECENT_B_FRAMES {
                        recent_b.pop_front();
                    }
                }
            };
            // The first pass has reported the same errors.
            let _ = decoder.decode(&unit.data, &mut add);
            progress.inc(1);
        }
        Ok(pass)
    }
}

fn macroblock_counts(picture: &MotionField<'_>) -> MacroblockCounts {
    let mut counts = MacroblockCounts::default();
    for position in 0..picture.macroblocks() {
        let flags = picture.mb_flags(position);
        counts.all += 1;
        counts.intra += u64::from(flags.intra);
        counts.skipped += u64::from(flags.skip);
        counts.lost += u64::from(flags.lost);
    }
    counts
}
