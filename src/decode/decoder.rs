use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;

use super::{DecodeError, DecodeJob, DecoderKind, RgbPicture, rgb};
use crate::window::FrameSize;

/// Display ranks become time stamps: one picture a millisecond.
const RANK: gst::ClockTime = gst::ClockTime::from_mseconds(1);

/// One decoder, used for one job after another: `feed pad ! DECODER ! videoconvertscale ! RGB ! appsink`.
///
/// There is no appsrc and no streaming thread: the calling thread pushes buffers into the decoder's pad and finds the
/// pictures in the appsink afterwards. A job ends with EOS, which drains the decoder; a flush then takes the EOS back,
/// empties the decoder and leaves the elements ready, which an appsrc cannot do (it stays at EOS).
/// After any error the decoder must be thrown away.
#[derive(Debug)]
pub(super) struct Decoder {
    kind: DecoderKind,
    pipeline: gst::Pipeline,
    feed: gst::Pad,
    scaled: gst::Element,
    pictures: gst_app::AppSink,
    bus: gst::Bus,
    filter: Arc<Mutex<Filter>>,
    caps: Option<gst::Caps>,
    size: Option<FrameSize>,
    used: bool,
}

/// What the pad probe between decoder and converter lets through. Converting costs about as much as decoding.
#[derive(Debug, Default)]
struct Filter {
    wanted: BTreeSet<u32>,
    corrupt: BTreeSet<u32>,
    decoded: u64,
}

/// What a job gave, and what it cost.
#[derive(Debug)]
pub(super) struct Decoded {
    /// In the order of [`DecodeJob::wanted`].
    pub pictures: Vec<RgbPicture>,
    /// Pictures that the decoder put out, wanted or not.
    pub decoded: u64,
}

impl Decoder {
    /// Fails if the element is not installed.
    pub fn new(kind: DecoderKind) -> Result<Self, DecodeError> {
        DecodeError::init_gstreamer()?;
        let failed = |error: gst::glib::BoolError| DecodeError::GStreamer {
            message: error.to_string(),
        };
        let make = |element: &'static str, package| {
            gst::ElementFactory::make(element)
                .build()
                .map_err(|_| DecodeError::NoElement {
                    element: element.to_owned(),
                    package,
                })
        };
        let decoder = make(kind.element(), kind.package())?;
        if kind == DecoderKind::Libav {
            // The pool is the parallelism, and frame threads would delay pictures.
            decoder.set_property("max-threads", 1i32);
        }
        let converter = make("videoconvertscale", "gstreamer1.0-plugins-base")?;
        converter.set_property("add-borders", false);
        let scaled = make("capsfilter", "libgstreamer1.0-0")?;
        // Without preroll (async) a flush needs no state change. Nothing bounds the sink: a job bounds itself, and its
        // pictures are taken only after EOS.
        let pictures = gst_app::AppSink::builder()
            .sync(false)
            .async_(false)
            .wait_on_eos(false)
            .build();
        let pipeline = gst::Pipeline::new();
        pipeline
            .add_many([&decoder, &converter, &scaled, pictures.upcast_ref()])
            .and_then(|()| gst::Element::link_many([&decoder, &converter, &scaled, pictures.upcast_ref()]))
            .map_err(failed)?;
        let missing = |what: &str| DecodeError::GStreamer {
            message: format!("{} without a {what}", kind.element()),
        };
        let filter = Arc::new(Mutex::new(Filter::default()));
        watch_pictures(
            &decoder.static_pad("src").ok_or_else(|| missing("source pad"))?,
            &filter,
        );
        let feed = gst::Pad::builder(gst::PadDirection::Src).name("feed").build();
        feed.link(&decoder.static_pad("sink").ok_or_else(|| missing("sink pad"))?)
            .map_err(|error| DecodeError::GStreamer {
                message: error.to_string(),
            })?;
        let bus = pipeline.bus().ok_or_else(|| missing("bus"))?;
        let built = Self {
            kind,
            pipeline,
            feed,
            scaled,
            pictures,
            bus,
            filter,
            caps: None,
            size: None,
            used: false,
        };
        let started = built.pipeline.set_state(gst::State::Playing);
        started.map_err(|_| DecodeError::GStreamer {
            message: built
                .bus_error()
                .unwrap_or_else(|| format!("{} does not start", kind.element())),
        })?;
        built.feed.set_active(true).map_err(failed)?;
        Ok(built)
    }

    /// Decodes one job on the calling thread.
    pub fn decode(&mut self, job: &DecodeJob) -> Result<Decoded, DecodeError> {
        check(job)?;
        let mut unit = job.feed[0].unit.index;
        let stopped = |decoder: &Self, unit: u64, what: &str| DecodeError::Decoder {
            stream: job.stream.clone(),
            unit,
            decoder: decoder.kind.element().to_owned(),
            message: decoder.bus_error().unwrap_or_else(|| what.to_owned()),
        };
        self.prepare(job).map_err(|what| stopped(self, unit, &what))?;
        for fed in &job.feed {
            unit = fed.unit.index;
            let mut buffer = gst::Buffer::from_slice(fed.unit.data.clone());
            {
                // Decoding times stay out: the base class would read "pts before dts" as a hint to ignore the pts.
                let buffer = buffer.make_mut();
                buffer.set_pts(RANK * u64::from(fed.display_rank));
            }
            self.feed
                .push(buffer)
                .map_err(|flow| stopped(self, unit, &format!("flow {flow}")))?;
        }
        if !self.feed.push_event(gst::event::Eos::new()) {
            return Err(stopped(self, unit, "it did not drain"));
        }
        if let Some(message) = self.bus_error() {
            return Err(stopped(self, unit, &message));
        }
        self.collect(job)
    }

    /// Empties the elements and tells them what comes.
    fn prepare(&mut self, job: &DecodeJob) -> Result<(), String> {
        let push = |feed: &gst::Pad, event: gst::Event| {
            let kind = event.type_();
            feed.push_event(event)
                .then_some(())
                .ok_or_else(|| format!("the event {kind:?} was refused"))
        };
        if self.used {
            push(&self.feed, gst::event::FlushStart::new())?;
            push(&self.feed, gst::event::FlushStop::new(true))?;
        } else {
            push(&self.feed, gst::event::StreamStart::new("comove-decode"))?;
            self.used = true;
        }
        {
            let mut filter = self.filter.lock().unwrap_or_else(PoisonError::into_inner);
            *filter = Filter {
                wanted: job.wanted.iter().copied().collect(),
                ..Filter::default()
            };
        }
        if self.size != Some(job.size) {
            self.scaled.set_property("caps", rgb::rgb_caps(Some(job.size)));
            self.size = Some(job.size);
        }
        let caps: gst::Caps = job
            .format
            .caps
            .parse()
            .map_err(|_| format!("the caps cannot be read: {}", job.format.caps))?;
        if self.caps.as_ref() != Some(&caps) {
            push(&self.feed, gst::event::Caps::new(&caps))?;
            self.caps = Some(caps);
        }
        push(
            &self.feed,
            gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()),
        )
    }

    /// Takes the pictures out of the sink; they are all there.
    fn collect(&self, job: &DecodeJob) -> Result<Decoded, DecodeError> {
        let decoder = self.kind.element().to_owned();
        let first_unit = job.feed[0].unit.index;
        let mut pictures = Vec::with_capacity(job.wanted.len());
        while let Some(sample) = self.pictures.try_pull_sample(gst::ClockTime::ZERO) {
            let (size, pixels) = rgb::packed_pixels(&sample).map_err(|message| DecodeError::Decoder {
                stream: job.stream.clone(),
                unit: first_unit,
                decoder: decoder.clone(),
                message,
            })?;
            debug_assert_eq!(size, job.size);
            if let Some(display_rank) = sample.buffer().and_then(rank_of) {
                pictures.push(RgbPicture { display_rank, pixels });
            }
        }
        pictures.sort_by_key(|picture| picture.display_rank);
        pictures.dedup_by_key(|picture| picture.display_rank);
        let filter = self.filter.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&display_rank) = filter.corrupt.first() {
            return Err(DecodeError::Corrupt {
                stream: job.stream.clone(),
                first_unit,
                display_rank,
                decoder,
            });
        }
        if pictures
            .iter()
            .map(|picture| &picture.display_rank)
            .ne(&job.wanted)
        {
            let has = |rank: &u32| pictures.iter().any(|picture| picture.display_rank == *rank);
            return Err(DecodeError::Missing {
                stream: job.stream.clone(),
                first_unit,
                last_unit: job.feed[job.feed.len() - 1].unit.index,
                wanted: job.wanted.len(),
                missing: job.wanted.iter().copied().filter(|rank| !has(rank)).collect(),
                decoder,
            });
        }
        Ok(Decoded {
            pictures,
            decoded: filter.decoded,
        })
    }

    fn bus_error(&self) -> Option<String> {
        let message = self.bus.pop_filtered(&[gst::MessageType::Error])?;
        let gst::MessageView::Error(error) = message.view() else {
            return None;
        };
        let detail = error
            .debug()
            .map(|detail| format!(" ({detail})"))
            .unwrap_or_default();
        Some(format!("{}{detail}", error.error()))
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        let _ = self.feed.set_active(false);
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn check(job: &DecodeJob) -> Result<(), DecodeError> {
    let invalid = |rule| {
        Err(DecodeError::InvalidJob {
            stream: job.stream.clone(),
            rule,
        })
    };
    if job.feed.is_empty() {
        return invalid("feed at least one unit");
    }
    if job.wanted.is_empty() || !job.wanted.windows(2).all(|pair| pair[0] < pair[1]) {
        return invalid("want at least one picture, in rising order of display rank");
    }
    if job.size.width == 0 || job.size.height == 0 {
        return invalid("ask for pictures of at least 1x1");
    }
    let fed: BTreeSet<u32> = job.feed.iter().map(|fed| fed.display_rank).collect();
    if !job.wanted.iter().all(|rank| fed.contains(rank)) {
        return invalid("feed every picture that it wants");
    }
    Ok(())
}

fn rank_of(buffer: &gst::BufferRef) -> Option<u32> {
    let pts = buffer.pts()?;
    u32::try_from(pts.nseconds() / RANK.nseconds()).ok()
}

/// Drops what nobody wants before it is converted.
fn watch_pictures(decoded: &gst::Pad, filter: &Arc<Mutex<Filter>>) {
    let filter = filter.clone();
    decoded.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(buffer) = info.buffer() else {
            return gst::PadProbeReturn::Ok;
        };
        let mut filter = filter.lock().unwrap_or_else(PoisonError::into_inner);
        filter.decoded += 1;
        match rank_of(buffer).filter(|rank| filter.wanted.contains(rank)) {
            Some(rank) => {
                if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
                    filter.corrupt.insert(rank);
                }
                gst::PadProbeReturn::Ok
            }
            None => gst::PadProbeReturn::Drop,
        }
    });
}
