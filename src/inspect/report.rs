use std::fmt;
use std::path::PathBuf;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::gops::GopFacts;
use super::statistics::MotionFacts;

/// Version of the JSON that [`InspectReport`] becomes: rises when a key changes its meaning or goes away.
pub const INSPECT_SCHEMA: &str = "comove.inspect.v1";

/// Errors that the text names before it says "and N more"; the JSON names more.
const NAMED_ERRORS: usize = 5;

/// What the codec sees in a video. `--json` prints it with these names as keys.
#[derive(Clone, Debug, Serialize)]
pub struct InspectReport {
    /// Always [`INSPECT_SCHEMA`].
    pub schema: &'static str,
    /// The file.
    pub file: PathBuf,
    /// Its size.
    pub file_bytes: u64,
    /// What the container and the parameter sets say.
    pub stream: StreamFacts,
    /// Counts of pictures.
    pub pictures: PictureFacts,
    /// Compressed sizes.
    pub bits: BitFacts,
    /// Groups of pictures, in frames.
    pub gops: GopFacts,
    /// What pictures refer to.
    pub references: ReferenceFacts,
    /// Motion of P and B pictures; null where no picture has a motion vector.
    pub motion: Option<MotionFacts>,
    /// How fast the motion was extracted.
    pub speed: SpeedFacts,
    /// What is wrong in the stream.
    pub errors: ErrorFacts,
    /// Pictures written for `--overlay`, else null.
    pub overlay: Option<OverlayFacts>,
}

/// What the container and the parameter sets say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamFacts {
    /// Profile, in the words of GStreamer (`high`, `constrained-baseline`); null where unknown.
    pub profile: Option<String>,
    /// Level, such as `3.1`; null where unknown.
    pub level: Option<String>,
    /// Luma columns after cropping.
    pub width: u32,
    /// Luma rows after cropping.
    pub height: u32,
    /// Bits of a luma sample; null where unknown.
    pub bit_depth: Option<u32>,
    /// Chroma format, such as `4:2:0`; null where unknown.
    pub chroma_format: Option<String>,
    /// Nominal frames per second as numerator and denominator; null where the stream does not say.
    pub frame_rate: Option<[u32; 2]>,
    /// From the first picture's time to the last one's, plus one frame; null where the file has no times.
    pub duration_seconds: Option<f64>,
    /// `progressive`, `fields` (pictures of one field), `mbaff` (frames whose macroblocks may be fields) or `fields+mbaff`.
    pub scan: &'static str,
    /// `CABAC`, `CAVLC` or `CABAC+CAVLC`; null where no picture came.
    pub entropy_coder: Option<&'static str>,
    /// Changes of format, jumps and other ends of continuity, plus one.
    pub segments: u64,
}

/// Counts of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PictureFacts {
    /// Access units in the file.
    pub access_units: u64,
    /// Frames; a pair of fields is one.
    pub frames: u64,
    /// Coded fields.
    pub fields: u64,
    /// Frames of I slices only.
    pub i: u64,
    /// Frames with P slices and no B slices.
    pub p: u64,
    /// Frames with B slices.
    pub b: u64,
    /// IDR pictures.
    pub idr: u64,
    /// Recovery points that are no IDR pictures.
    pub recovery_points: u64,
    /// Fewest slices in a picture.
    pub min_slices: u32,
    /// Most slices in a picture.
    pub max_slices: u32,
}

/// Compressed sizes in bits, of access units with everything in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BitFacts {
    /// Mean of a frame.
    pub per_frame: f64,
    /// Mean of an I frame; null where there is none.
    pub per_i: Option<f64>,
    /// Mean of a P frame; null where there is none.
    pub per_p: Option<f64>,
    /// Mean of a B frame; null where there is none.
    pub per_b: Option<f64>,
    /// Bits per second; null where the duration is unknown.
    pub rate: Option<f64>,
}

/// What pictures refer to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReferenceFacts {
    /// Most different pictures that one picture's vectors point to.
    pub max_used: usize,
    /// Most frames that come before one in coding order and after it in display order.
    pub reorder_depth: usize,
    /// B frames that other frames refer to.
    pub reference_b: u64,
    /// Whether any B frame refers to another: a pyramid.
    pub b_pyramid: bool,
    /// P and B frames, or I frames, that nothing refers to: a decoder may leave them out.
    pub non_reference: u64,
}

/// How fast the motion was extracted, on one thread, without demuxing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SpeedFacts {
    /// Frames per second of the wall clock: less where other programs run too.
    pub frames_per_second: f64,
    /// Seconds on the wall clock.
    pub wall_seconds: f64,
    /// Frames per second of one processor's time; null where that is not known.
    pub frames_per_cpu_second: Option<f64>,
    /// Seconds of processor time; null where the system does not tell, or too few for its clock.
    pub cpu_seconds: Option<f64>,
}

/// What is wrong in the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ErrorFacts {
    /// Access units with an error.
    pub count: u64,
    /// The first thousand of them.
    pub first: Vec<StreamError>,
}

/// What is wrong with one access unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamError {
    /// Its position in coding order, from 0.
    pub access_unit: u64,
    /// What is wrong.
    pub message: String,
}

/// Pictures written for `--overlay`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OverlayFacts {
    /// Where they are.
    pub folder: PathBuf,
    /// Their names, in display order.
    pub pictures: Vec<String>,
    /// Frames that were to be drawn, but whose pixels or motion could not be decoded.
    pub without_pixels: u64,
    /// Arrow length in source pixels for a displacement of one pixel per frame.
    pub gain: f32,
    /// Output pixels per source pixel.
    pub scale: u32,
}

fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

impl fmt::Display for InspectReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.file.display(), self.stream)?;
        writeln!(f, "{}", self.frame_table())?;
        let (pictures, gops, references) = (&self.pictures, &self.gops, &self.references);
        writeln!(
            f,
            "Pictures: {} access units, {} frames, {} fields, {} IDR, {} other recovery points, {} to {} slices",
            pictures.access_units,
            pictures.frames,
            pictures.fields,
            pictures.idr,
            pictures.recovery_points,
            pictures.min_slices,
            pictures.max_slices
        )?;
        writeln!(
            f,
            "Groups:   {} ({} closed, {} open) of {} / {} / {} frames (shortest, median, longest){}",
            gops.count,
            gops.closed,
            gops.open,
            gops.min_frames,
            gops.median_frames,
            gops.max_frames,
            match gops.before_first {
                0 => String::new(),
                frames => format!("; {frames} frames before the first"),
            }
        )?;
        writeln!(
            f,
            "Refers:   to at most {} pictures at once; reordered by {}; {} B frames are references{}; {} frames are none",
            references.max_used,
            references.reorder_depth,
            references.reference_b,
            if references.b_pyramid { " (a pyramid)" } else { "" },
            references.non_reference
        )?;
        match &self.motion {
            Some(motion) => write!(f, "{motion}")?,
            None => writeln!(f, "Motion:   none: no picture has a motion vector")?,
        }
        let speed = &self.speed;
        match speed.frames_per_cpu_second.zip(speed.cpu_seconds) {
            Some((frames, seconds)) => {
                write!(f, "Speed:    {frames:.0} frames/s of one core ({seconds:.2} s; ")?
            }
            None => write!(f, "Speed:    (")?,
        }
        let (frames, seconds) = (speed.frames_per_second, speed.wall_seconds);
        writeln!(f, "on the wall clock {frames:.0} frames/s, {seconds:.3} s)")?;
        self.fmt_errors(f)?;
        if let Some(overlay) = &self.overlay {
            writeln!(
                f,
                "Overlay:  {} pictures in {}; arrows are {} times as long as the motion of one frame",
                overlay.pictures.len(),
                overlay.folder.display(),
                overlay.gain
            )?;
        }
        Ok(())
    }
}

impl InspectReport {
    fn frame_table(&self) -> Table {
        let (pictures, bits) = (&self.pictures, &self.bits);
        let mean = |bits: Option<f64>| bits.map_or("–".to_string(), |bits| format!("{bits:.0}"));
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["", "all", "I", "P", "B"]);
        table.add_row([
            "frames".to_string(),
            pictures.frames.to_string(),
            pictures.i.to_string(),
            pictures.p.to_string(),
            pictures.b.to_string(),
        ]);
        table.add_row([
            "bits a frame".to_string(),
            mean(Some(bits.per_frame)),
            mean(bits.per_i),
            mean(bits.per_p),
            mean(bits.per_b),
        ]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn fmt_errors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = &self.errors;
        if errors.count == 0 {
            return writeln!(f, "Errors:   none");
        }
        writeln!(f, "Errors:   in {} access units", errors.count)?;
        for error in errors.first.iter().take(NAMED_ERRORS) {
            writeln!(f, "          unit {}: {}", error.access_unit, error.message)?;
        }
        match errors.count.saturating_sub(NAMED_ERRORS as u64) {
            0 => Ok(()),
            more => writeln!(f, "          and {more} more (--json names the first thousand)"),
        }
    }
}

impl fmt::Display for StreamFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "H.264")?;
        if let Some(profile) = &self.profile {
            write!(f, " {profile}")?;
        }
        if let Some(level) = &self.level {
            write!(f, ", level {level}")?;
        }
        write!(f, ", {}x{}", self.width, self.height)?;
        if let Some([numerator, denominator]) = self.frame_rate {
            let rate = f64::from(numerator) / f64::from(denominator.max(1));
            write!(f, ", {} frames/s", (rate * 1000.0).round() / 1000.0)?;
        }
        if let Some(seconds) = self.duration_seconds {
            write!(f, ", {seconds:.2} s")?;
        }
        write!(f, ", {}", self.scan)?;
        if let Some(coder) = self.entropy_coder {
            write!(f, ", {coder}")?;
        }
        if let Some(chroma) = &self.chroma_format {
            write!(f, ", {chroma}")?;
        }
        if let Some(bits) = self.bit_depth {
            write!(f, ", {bits} bit")?;
        }
        if self.segments > 1 {
            write!(f, ", {} segments", self.segments)?;
        }
        Ok(())
    }
}

impl fmt::Display for MotionFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = &self.magnitude;
        writeln!(
            f,
            "Motion:   mean {:.2}, median {:.2}, 90 % below {:.2}, 99 % below {:.2}, at most {:.1} pixels per frame",
            magnitude.mean, magnitude.p50, magnitude.p90, magnitude.p99, magnitude.max
        )?;
        writeln!(
            f,
            "Blocks:   {} still, {} intra, {} skipped (P and B frames)",
            percent(self.still_fraction),
            percent(self.intra_fraction),
            percent(self.skip_fraction)
        )?;
        let to = &self.directions;
        let directions = [
            ("right", to.right),
            ("up right", to.up_right),
            ("up", to.up),
            ("up left", to.up_left),
            ("left", to.left),
            ("down left", to.down_left),
            ("down", to.down),
            ("down right", to.down_right),
        ]
        .map(|(name, part)| format!("{name} {}", percent(part)));
        writeln!(f, "Moving:   {}", directions.join(", "))
    }
}
