use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;

use super::{
    Container, IngestError, RedactedUri, SyntheticConfig, Templates, Transport, opener, remote, synthetic,
    template::Assembly, tracks::TrackLinker,
};

/// One thing that a pipeline plays.
#[derive(Clone, Debug)]
pub(super) enum Media {
    File {
        path: PathBuf,
        container: Container,
    },
    Rtsp {
        uri: RedactedUri,
        transport: Transport,
        latency: Duration,
    },
    Http(RedactedUri),
    Synthetic(SyntheticConfig),
}

/// What a pipeline has to say besides access units. Sent from GStreamer's threads.
#[derive(Debug)]
pub(super) enum PipelineEvent {
    /// It cannot go on. Said once.
    Failed(IngestError),
    /// A track that is left out.
    Ignored(String),
    /// The first access unit came.
    FirstUnit,
    /// The first key unit came.
    FirstKeyUnit,
    /// The source is over, after at least one access unit.
    EndOfSource,
}

/// Must not block: it is called from the middle of GStreamer.
pub(super) type Events = Arc<dyn Fn(PipelineEvent) + Send + Sync>;

/// Where access units go. Called on the pipeline's streaming thread, which may be held.
pub(super) trait UnitSink: Send {
    fn take(&mut self, sample: &gst::Sample) -> Result<gst::FlowSuccess, gst::FlowError>;
    /// No further unit will come.
    fn end(&mut self);
}

/// A running pipeline that gives access units. Dropped instead of stopped, it stops on a thread of its own.
#[derive(Debug)]
pub(super) struct MediaPipeline {
    pipeline: Option<gst::Pipeline>,
}

impl Media {
    /// File name or URI, without credentials.
    pub fn place(&self) -> String {
        match self {
            Self::File { path, .. } => path.display().to_string(),
            Self::Rtsp { uri, .. } | Self::Http(uri) => uri.to_string(),
            Self::Synthetic(_) => "synthetic".to_owned(),
        }
    }

    fn assemble(&self, templates: &Templates) -> Result<Assembly, IngestError> {
        let name = match self {
            Self::File { container, .. } => container.template(),
            Self::Rtsp { .. } => "rtsp",
            Self::Http(_) => "http",
            Self::Synthetic(_) => {
                IngestError::init_gstreamer()?;
                match gst::ElementFactory::find("x264enc") {
                    Some(_) => "synthetic-x264",
                    None => "synthetic-openh264",
                }
            }
        };
        let assembly = templates.assemble(name)?;
        match self {
            Self::File { path, .. } => assembly.source.set_property("location", path),
            Self::Rtsp {
                uri,
                transport,
                latency,
            } => remote::configure_rtsp(&assembly.source, uri, *transport, *latency),
            Self::Http(uri) => remote::configure_http(&assembly.source, uri),
            Self::Synthetic(config) => synthetic::configure(&assembly, config),
        }
        Ok(assembly)
    }

    /// Error texts of GStreamer with nothing secret in them.
    fn clean(&self, text: &str) -> String {
        match self {
            Self::Rtsp { uri, .. } | Self::Http(uri) => uri.clean(text),
            Self::File { .. } | Self::Synthetic(_) => text.to_owned(),
        }
    }
}

impl MediaPipeline {
    /// Builds the pipeline and starts it. May block for as long as the source takes to open: not for async code.
    pub fn start(
        media: &Media,
        templates: &Templates,
        events: Events,
        sink: impl UnitSink + 'static,
    ) -> Result<Self, IngestError> {
        let assembly = media.assemble(templates)?;
        let telling = Telling {
            events,
            failed: Arc::new(AtomicBool::new(false)),
            units: Arc::new(AtomicU64::new(0)),
            media: Arc::new(media.clone()),
        };
        if let Some(tracks) = &assembly.tracks {
            let linker = TrackLinker {
                place: media.place(),
                video: assembly.video.clone(),
                failed: {
                    let telling = telling.clone();
                    Box::new(move |error| telling.fail(error))
                },
                ignored: {
                    let telling = telling.clone();
                    Box::new(move |track| (telling.events)(PipelineEvent::Ignored(track)))
                },
            };
            linker.watch(tracks);
        }
        take_units(&assembly.units, sink, &telling);
        if let Some(bus) = assembly.pipeline.bus() {
            let telling = telling.clone();
            bus.set_sync_handler(move |_, message| {
                telling.hear(message);
                gst::BusSyncReply::Drop
            });
        }
        if assembly.pipeline.set_state(gst::State::Playing).is_err() {
            // The reason is a message that came before; this one is for a silent refusal.
            telling.fail(IngestError::Pipeline {
                place: media.place(),
                message: "the pipeline does not start".to_owned(),
            });
        }
        Ok(Self {
            pipeline: Some(assembly.pipeline),
        })
    }

    /// Stops the pipeline and waits until it has stopped, which can take for ever: for a thread that can be spared.
    pub fn stop(mut self) {
        if let Some(pipeline) = self.pipeline.take() {
            // Reaching NULL cannot be refused, only delayed.
            let _ = pipeline.set_state(gst::State::Null);
        }
    }
}

impl Drop for MediaPipeline {
    fn drop(&mut self) {
        if let Some(pipeline) = self.pipeline.take() {
            opener::spare_thread("close-dropped".to_owned(), move || {
                let _ = pipeline.set_state(gst::State::Null);
            });
        }
    }
}

/// Turns what GStreamer says into events.
#[derive(Clone)]
struct Telling {
    events: Events,
    failed: Arc<AtomicBool>,
    units: Arc<AtomicU64>,
    media: Arc<Media>,
}

impl Telling {
    fn fail(&self, error: IngestError) {
        if !self.failed.swap(true, Ordering::Relaxed) {
            (self.events)(PipelineEvent::Failed(error));
        }
    }

    fn hear(&self, message: &gst::Message) {
        match message.view() {
            gst::MessageView::Error(error) => {
                let text = describe(&error.error(), error.debug().as_deref());
                let message = self.media.clean(&text);
                let place = self.media.place();
                let raw = matches!(
                    &*self.media,
                    Media::File {
                        container: Container::AnnexB,
                        ..
                    }
                );
                let nothing_yet = self.units.load(Ordering::Relaxed) == 0;
                self.fail(match raw && nothing_yet {
                    true => IngestError::NotH264 { place, message },
                    false => IngestError::Pipeline { place, message },
                });
            }
            gst::MessageView::Warning(warning) => {
                let text = describe(&warning.error(), warning.debug().as_deref());
                tracing::debug!(
                    place = self.media.place(),
                    warning = self.media.clean(&text),
                    "GStreamer warns"
                );
            }
            _ => {}
        }
    }

    fn end(&self) {
        match self.units.load(Ordering::Relaxed) {
            0 => self.fail(IngestError::NotH264 {
                place: self.media.place(),
                message: "it ended before the first complete picture".to_owned(),
            }),
            _ => (self.events)(PipelineEvent::EndOfSource),
        }
    }
}

fn describe(error: &gst::glib::Error, debug: Option<&str>) -> String {
    // Behind the element's path, the last line of the debug text says what happened.
    let detail = debug
        .and_then(|text| text.lines().last())
        .map(str::trim)
        .filter(|text| !text.is_empty());
    match detail {
        Some(detail) => format!("{} ({detail})", error.message().trim_end_matches('.')),
        None => error.message().to_owned(),
    }
}

fn take_units(units: &gst_app::AppSink, sink: impl UnitSink + 'static, telling: &Telling) {
    let sink = Arc::new(Mutex::new(sink));
    let mut key_unit_seen = false;
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample({
            let (sink, telling) = (sink.clone(), telling.clone());
            move |units| {
                let sample = units.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                if telling.units.fetch_add(1, Ordering::Relaxed) == 0 {
                    (telling.events)(PipelineEvent::FirstUnit);
                }
                if !key_unit_seen && is_key_unit(&sample) {
                    key_unit_seen = true;
                    (telling.events)(PipelineEvent::FirstKeyUnit);
                }
                sink.lock().unwrap_or_else(PoisonError::into_inner).take(&sample)
            }
        })
        .eos({
            let telling = telling.clone();
            move |_| {
                sink.lock().unwrap_or_else(PoisonError::into_inner).end();
                telling.end();
            }
        })
        .build();
    units.set_callbacks(callbacks);
}

/// Whether the demuxer or parser says that decoding can start here.
pub(super) fn is_key_unit(sample: &gst::Sample) -> bool {
    sample
        .buffer()
        .is_some_and(|buffer| !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT))
}
