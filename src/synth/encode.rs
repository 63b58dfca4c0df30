use std::fs;
use std::path::Path;

use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::SynthError;
use super::mp4_times::clear_times;
use super::scene::{FRAME, FRAME_RATE};

/// How a video is encoded: drawn for each, whatever its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderSettings {
    /// x264's preset.
    pub speed_preset: &'static str,
    /// B frames between two references.
    pub b_frames: u32,
    /// Pictures from one key frame to the next, at most.
    pub key_interval: u32,
    /// Reference pictures.
    pub references: u32,
    /// CABAC, else CAVLC.
    pub cabac: bool,
    /// kbit/s. Its range is wide: it decides the file's size, the content hardly does.
    pub bit_rate_kbps: u32,
}

impl EncoderSettings {
    /// Draws all.
    pub fn draw(rng: &mut ChaCha8Rng) -> Self {
        Self {
            speed_preset: ["superfast", "veryfast", "faster", "fast"]
                .choose(rng)
                .copied()
                .unwrap_or("veryfast"),
            b_frames: rng.random_range(0..4),
            key_interval: rng.random_range(12..32),
            references: rng.random_range(1..4),
            cabac: rng.random(),
            bit_rate_kbps: (150.0 * rng.random_range(0f64..1.0).mul_add(1.4, 0.0).exp()) as u32,
        }
    }
}

/// What encodes, with its version.
pub fn encoder_name() -> Result<String, SynthError> {
    gst::init().map_err(|error| SynthError::GStreamer(error.to_string()))?;
    let version = |name: &str| {
        let factory = gst::ElementFactory::find(name).ok_or(format!("there is no element {name}"));
        factory.map(|factory| {
            factory
                .plugin()
                .map(|plugin| plugin.version().to_string())
                .unwrap_or_default()
        })
    };
    let version = version("x264enc").map_err(SynthError::GStreamer)?;
    Ok(format!("x264enc {version}"))
}

/// Encodes `frames` pictures, each packed RGB, into an mp4 file at `path`, written beside and renamed. The same pictures and
/// settings give the same bytes, with the same GStreamer and x264.
pub fn encode(
    path: &Path,
    settings: &EncoderSettings,
    frames: impl Iterator<Item = Vec<u8>>,
) -> Result<(), SynthError> {
    let failed = |message: String| SynthError::Encode {
        path: path.to_owned(),
        message,
    };
    let partial = path.with_extension("part");
    let pipeline = assemble(settings, &partial).map_err(|error| failed(error.to_string()))?;
    let result = feed(&pipeline, frames);
    let stopped = pipeline
        .set_state(gst::State::Null)
        .map_err(|error| error.to_string());
    result.and(stopped.map(drop)).map_err(failed)?;
    let mut bytes = fs::read(&partial).map_err(SynthError::io("read", &partial))?;
    clear_times(&mut bytes);
    fs::write(&partial, bytes).map_err(SynthError::io("write", &partial))?;
    fs::rename(&partial, path).map_err(SynthError::io("rename", &partial))
}

fn assemble(settings: &EncoderSettings, to: &Path) -> Result<gst::Pipeline, gst::glib::Error> {
    let launch = "appsrc name=pictures format=time block=true max-buffers=8 ! videoconvert n-threads=1 ! video/x-raw,format=I420 \
                  ! x264enc name=encoder threads=1 ! h264parse ! mp4mux ! filesink name=file";
    let pipeline = gst::parse::launch(launch)?;
    // What `launch` gives for more than one element.
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .map_err(|_| gst::glib::Error::new(gst::CoreError::Failed, "no pipeline came of the description"))?;
    if let Some(encoder) = pipeline.by_name("encoder") {
        encoder.set_property_from_str("speed-preset", settings.speed_preset);
        encoder.set_property("bframes", settings.b_frames);
        encoder.set_property("key-int-max", settings.key_interval);
        encoder.set_property("ref", settings.references);
        encoder.set_property("cabac", settings.cabac);
        encoder.set_property("bitrate", settings.bit_rate_kbps);
    }
    if let Some(file) = pipeline.by_name("file") {
        file.set_property("location", to);
    }
    Ok(pipeline)
}

fn feed(pipeline: &gst::Pipeline, frames: impl Iterator<Item = Vec<u8>>) -> Result<(), String> {
    let pictures = pipeline
        .by_name("pictures")
        .and_then(|element| element.downcast::<gst_app::AppSrc>().ok())
        .ok_or("no appsrc in the pipeline")?;
    let bus = pipeline.bus().ok_or("a pipeline without a bus")?;
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    let caps = gst_video::VideoCapsBuilder::new()
        .format(gst_video::VideoFormat::Rgb)
        .width(side(FRAME.width))
        .height(side(FRAME.height))
        .framerate(gst::Fraction::new(side(FRAME_RATE), 1))
        .build();
    pictures.set_caps(Some(&caps));
    pipeline
        .set_state(gst::State::Playing)
        .map_err(|error| error.to_string())?;
    let length = gst::ClockTime::SECOND / u64::from(FRAME_RATE);
    for (number, pixels) in frames.enumerate() {
        let mut buffer = gst::Buffer::from_slice(pixels);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(length * number as u64);
            buffer.set_duration(length);
        }
        // A pipeline that failed says why on the bus.
        if pictures.push_buffer(buffer).is_err() {
            break;
        }
    }
    // Refused where the pipeline has failed.
    let _ = pictures.end_of_stream();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(120), &ends);
    match message.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Eos(_)) => Ok(()),
        Some(gst::MessageView::Error(error)) => Err(error.error().to_string()),
        _ => Err("the encoder did not finish within 2 minutes".to_owned()),
    }
}
