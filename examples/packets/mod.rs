//! Access units of a file: a byte stream (Annex B), or the H.264 track of a container.
//!
//! All samples count, in file order, edit lists and timestamps ignored. MP4 files are read by their sample tables,
//! other containers (and fragmented MP4) are demuxed by GStreamer. MP4 and Matroska hold length-prefixed NAL units and an
//! avcC record, which are turned into a byte stream here.

mod mp4;

use std::path::Path;

use crate::h264::annexb::access_units;
use anyhow::{Context, Result, anyhow, bail};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

/// The access units of a file, in decoding order, each a byte stream of its own.
pub fn read(path: &Path) -> Result<Vec<Vec<u8>>> {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let demuxer = match extension.as_str() {
        "mp4" | "mov" | "m4v" => "qtdemux",
        "mkv" | "webm" => "matroskademux",
        "ts" | "m2ts" | "mts" => "tsdemux",
        _ => {
            let stream = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            return Ok(access_units(&stream).into_iter().map(<[u8]>::to_vec).collect());
        }
    };
    if demuxer == "qtdemux" {
        let file = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        if let Some((record, samples)) = mp4::samples(&file)? {
            let avcc = parse_avcc(&record).context("the avcC record is cut off")?;
            let mut units: Vec<Vec<u8>> = samples
                .into_iter()
                .map(|sample| avcc.byte_stream(sample))
                .collect();
            units[0].splice(0..0, avcc.parameter_sets);
            return Ok(units);
        }
    }
    gst::init()?;
    let samples = demux(path, demuxer).with_context(|| format!("demuxing {}", path.display()))?;
    if demuxer == "tsdemux" {
        // PES packets need not hold whole access units.
        return Ok(access_units(&samples.concat())
            .into_iter()
            .map(<[u8]>::to_vec)
            .collect());
    }
    Ok(samples)
}

fn demux(path: &Path, demuxer: &str) -> Result<Vec<Vec<u8>>> {
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("filesrc")
        .property("location", path)
        .build()?;
    let demuxer = gst::ElementFactory::make(demuxer).build()?;
    let sink = gst_app::AppSink::builder().sync(false).build();
    pipeline.add_many([&source, &demuxer, sink.upcast_ref()])?;
    source.link(&demuxer)?;
    let target = sink.static_pad("sink").context("appsink has a sink pad")?;
    let weak = pipeline.downgrade();
    demuxer.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let is_h264 = caps.structure(0).is_some_and(|s| s.name() == "video/x-h264");
        if is_h264 && !target.is_linked() && pad.link(&target).is_ok() {
            return;
        }
        // Tracks that nobody reads would stop the demuxer.
        let Some(pipeline) = weak.upgrade() else { return };
        if let Ok(rest) = gst::ElementFactory::make("fakesink")
            .property("sync", false)
            .property("async", false)
            .build()
            && pipeline.add(&rest).is_ok()
            && rest.sync_state_with_parent().is_ok()
            && let Some(rest) = rest.static_pad("sink")
            && pad.link(&rest).is_err()
        {
            eprintln!("a track cannot be passed over");
        }
    });
    pipeline.set_state(gst::State::Playing)?;
    let mut samples = Vec::new();
    let mut avcc = None;
    let bus = pipeline.bus().context("a pipeline has a bus")?;
    loop {
        match sink.try_pull_sample(gst::ClockTime::from_seconds(10)) {
            Some(sample) => samples.push(byte_stream(&sample, &mut avcc)?),
            None if sink.is_eos() => break,
            None => bail!("no sample for ten seconds"),
        }
        if let Some(message) = bus.pop_filtered(&[gst::MessageType::Error])
            && let gst::MessageView::Error(error) = message.view()
        {
            bail!("{}", error.error());
        }
    }
    pipeline.set_state(gst::State::Null)?;
    if samples.is_empty() {
        Err(anyhow!("no H.264 track"))
    } else {
        Ok(samples)
    }
}

/// What an avcC record says.
struct Avcc {
    length_size: usize,
    /// Parameter sets as a byte stream.
    parameter_sets: Vec<u8>,
}

impl Avcc {
    /// A sample's NAL units with start codes.
    fn byte_stream(&self, sample: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(sample.len() + 16);
        let mut rest = sample;
        while rest.len() > self.length_size {
            let (length, nal) = rest.split_at(self.length_size);
            let length = length
                .iter()
                .fold(0usize, |value, &b| value << 8 | usize::from(b))
                .min(nal.len());
            out.extend_from_slice(&[0, 0, 0, 1]);
            out.extend_from_slice(&nal[..length]);
            rest = &nal[length..];
        }
        out
    }
}

/// A sample as a byte stream, parameter sets before it where they have changed.
fn byte_stream(sample: &gst::Sample, current: &mut Option<(gst::Caps, Avcc)>) -> Result<Vec<u8>> {
    let caps = sample.caps_owned().context("a sample has caps")?;
    let buffer = sample.buffer().context("a sample has a buffer")?;
    let data = buffer.map_readable()?;
    let structure = caps.structure(0).context("caps have a structure")?;
    if structure
        .get::<&str>("stream-format")
        .is_ok_and(|f| f == "byte-stream")
    {
        return Ok(data.to_vec());
    }
    if let Some((known, avcc)) = current
        && *known == caps
    {
        return Ok(avcc.byte_stream(&data));
    }
    let record = structure
        .get::<gst::Buffer>("codec_data")
        .context("no avcC record")?;
    let avcc = parse_avcc(&record.map_readable()?).context("the avcC record is cut off")?;
    let mut out = avcc.parameter_sets.clone();
    out.extend(avcc.byte_stream(&data));
    *current = Some((caps.clone(), avcc));
    Ok(out)
}

/// AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
fn parse_avcc(record: &[u8]) -> Option<Avcc> {
    let length_size = usize::from(record.get(4)? & 3) + 1;
    let mut parameter_sets = Vec::new();
    let mut at = 5;
    for mask in [31, 255] {
        let count = record.get(at)? & mask;
        at += 1;
        for _ in 0..count {
            let length = usize::from(u16::from_be_bytes([*record.get(at)?, *record.get(at + 1)?]));
            parameter_sets.extend_from_slice(&[0, 0, 0, 1]);
            parameter_sets.extend_from_slice(record.get(at + 2..at + 2 + length)?);
            at += 2 + length;
        }
    }
    Some(Avcc {
        length_size,
        parameter_sets,
    })
}
