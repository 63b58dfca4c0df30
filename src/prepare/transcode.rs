use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gstreamer::{self as gst, prelude::*};

use super::{Fit, PrepareSettings};
use crate::synth::clear_mp4_times;

/// A pipeline that has made no picture for so many seconds has hung.
const PATIENCE_SECONDS: u32 = 60;

/// Encodes `from` into an mp4 file at `to`, written beside it and renamed. Returns the pictures written.
///
/// The same file and settings give the same bytes, with the same GStreamer and x264.
pub fn transcode(from: &Path, to: &Path, settings: &PrepareSettings) -> Result<u64, String> {
    // Hidden, so that nobody takes it for a video.
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let partial = to.with_file_name(format!(".{name}.part"));
    let written = encode(from, &partial, settings).and_then(|pictures| {
        let mut bytes = std::fs::read(&partial).map_err(|error| error.to_string())?;
        clear_mp4_times(&mut bytes);
        std::fs::write(&partial, bytes).map_err(|error| error.to_string())?;
        std::fs::rename(&partial, to).map_err(|error| error.to_string())?;
        Ok(pictures)
    });
    if written.is_err() {
        // It may not have been begun.
        let _ = std::fs::remove_file(&partial);
    }
    written
}

fn encode(from: &Path, to: &Path, settings: &PrepareSettings) -> Result<u64, String> {
    let PrepareSettings { width, height, .. } = *settings;
    let crop = match settings.fit {
        Fit::Crop => format!("! aspectratiocrop aspect-ratio={width}/{height}"),
        Fit::Stretch => String::new(),
    };
    let launch = format!(
        "filesrc name=in ! decodebin name=decoder expose-all-streams=false \
         videoconvert name=pictures ! deinterlace ! videoflip video-direction=auto {crop} \
         ! videoconvertscale add-borders=false ! videorate \
         ! video/x-raw,format=I420,width={width},height={height},pixel-aspect-ratio=1/1,framerate={rate}/1 \
         ! x264enc name=encoder threads=1 speed-preset=veryfast bframes={b} key-int-max={gop} bitrate={kbps} \
           option-string=scenecut=0:min-keyint={gop}:open-gop=0 \
         ! h264parse ! mp4mux ! filesink name=out",
        rate = settings.frame_rate,
        b = settings.b_frames,
        gop = settings.gop,
        kbps = settings.bit_rate_kbps,
    );
    let pipeline = gst::parse::launch(&launch)
        .map_err(|error| error.to_string())?
        .downcast::<gst::Pipeline>()
        .map_err(|_| "no pipeline came of the description".to_owned())?;
    let by_name = |name: &str| {
        pipeline
            .by_name(name)
            .ok_or(format!("no element {name} in the pipeline"))
    };
    by_name("in")?.set_property("location", from);
    by_name("out")?.set_property("location", to);
    let decoder = by_name("decoder")?;
    let raw = gst::Caps::builder("video/x-raw").any_features().build();
    decoder.set_property("caps", raw);
    let no_video = Arc::new(AtomicBool::new(false));
    link_first_video(&decoder, &by_name("pictures")?, &no_video);
    let pictures = count_pictures(&by_name("encoder")?);
    let ended = wait(&pipeline, &pictures, &no_video);
    let stopped = pipeline
        .set_state(gst::State::Null)
        .map_err(|error| error.to_string());
    ended?;
    stopped?;
    match pictures.load(Ordering::Relaxed) {
        0 => Err("no picture in it".to_owned()),
        pictures => Ok(pictures),
    }
}

fn link_first_video(decoder: &gst::Element, pictures: &gst::Element, no_video: &Arc<AtomicBool>) {
    let sink = pictures.static_pad("sink");
    decoder.connect_pad_added({
        let sink = sink.clone();
        move |_, pad| {
            let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            let video = caps
                .structure(0)
                .is_some_and(|caps| caps.name().starts_with("video/"));
            if let Some(sink) = sink.as_ref().filter(|sink| video && !sink.is_linked()) {
                // Refused pads make the pipeline fail as unlinked, which is told.
                let _ = pad.link(sink);
            }
        }
    });
    let no_video = no_video.clone();
    decoder.connect_no_more_pads(move |_| {
        no_video.store(
            !sink.as_ref().is_some_and(|sink| sink.is_linked()),
            Ordering::Relaxed,
        );
    });
}

fn count_pictures(encoder: &gst::Element) -> Arc<AtomicU64> {
    let pictures = Arc::new(AtomicU64::new(0));
    if let Some(pad) = encoder.static_pad("sink") {
        let pictures = pictures.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            pictures.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
    }
    pictures
}

/// Until the end, an error, or silence.
fn wait(pipeline: &gst::Pipeline, pictures: &AtomicU64, no_video: &AtomicBool) -> Result<(), String> {
    let bus = pipeline.bus().ok_or("a pipeline without a bus")?;
    // A failed start says why on the bus.
    let _ = pipeline.set_state(gst::State::Playing);
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let (mut seen, mut silent_seconds) = (0, 0);
    loop {
        let message = bus.timed_pop_filtered(gst::ClockTime::SECOND, &ends);
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Eos(_)) => return Ok(()),
            Some(gst::MessageView::Error(error)) => {
                let detail = error.debug().unwrap_or_default();
                let missing = detail
                    .lines()
                    .find_map(|line| line.strip_prefix("Missing decoder: "));
                return Err(match missing {
                    Some(codec) => format!("no decoder for {codec}"),
                    None => error.error().to_string(),
                });
            }
            _ => {}
        }
        if no_video.load(Ordering::Relaxed) {
            return Err("no video track in it".to_owned());
        }
        let now = pictures.load(Ordering::Relaxed);
        silent_seconds = if now == seen { silent_seconds + 1 } else { 0 };
        seen = now;
        if silent_seconds >= PATIENCE_SECONDS {
            return Err(format!("no picture for {PATIENCE_SECONDS} s, after {now}"));
        }
    }
}

/// The encoder with its version, for the record.
pub fn encoder_name() -> Result<String, String> {
    gst::init().map_err(|error| error.to_string())?;
    for element in ["x264enc", "aspectratiocrop", "deinterlace", "videoflip", "mp4mux"] {
        gst::ElementFactory::find(element).ok_or(format!("there is no element {element}"))?;
    }
    let factory = gst::ElementFactory::find("x264enc");
    let version = factory
        .and_then(|factory| factory.plugin())
        .map(|plugin| plugin.version().to_string());
    Ok(format!("x264enc {}", version.unwrap_or_default()))
}
