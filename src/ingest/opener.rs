use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{
    Container, FilePlace, IngestError, Playlist, SegmentEndReason, SourceKind, StreamConfig, Templates,
    intake::{Gate, GatedIntake, Intake},
    pipeline::{Events, Media, MediaPipeline},
};

/// Opens a stream's source, again and again; for a list of files, each time the next one. Blocks: runs on threads that can
/// be spared.
#[derive(Clone)]
pub(super) struct Opener {
    source: Source,
    templates: Templates,
}

#[derive(Clone)]
enum Source {
    Files(Arc<Mutex<Playlist>>),
    One(Media),
}

/// A pipeline that runs, and what it plays.
#[derive(Debug)]
pub(super) struct Opened {
    pub pipeline: MediaPipeline,
    pub place: String,
}

impl Opener {
    /// `begin`: the file that a list of files begins with, if not its first.
    pub fn new(
        source: &SourceKind,
        config: &StreamConfig,
        templates: Templates,
        begin: Option<FilePlace>,
    ) -> Self {
        let files = |mut playlist: Playlist| {
            if let Some(place) = begin {
                playlist.go_on_at(place);
            }
            Source::Files(Arc::new(Mutex::new(playlist)))
        };
        let source = match source {
            SourceKind::File(path) => files(Playlist::of_file(path, config.repeat)),
            SourceKind::Folder(folder) => {
                files(Playlist::of_folder(folder, config.repeat, config.shuffle_seed))
            }
            SourceKind::Rtsp(uri) => Source::One(Media::Rtsp {
                uri: uri.clone(),
                transport: config.transport,
                latency: config.latency,
            }),
            SourceKind::Http(uri) => Source::One(Media::Http(uri.clone())),
            SourceKind::Synthetic(synthetic) => Source::One(Media::Synthetic(synthetic.clone())),
        };
        Self { source, templates }
    }

    /// Starts the next pipeline; none where the files are all read.
    pub fn open(
        &self,
        intake: Arc<Intake>,
        gate: Gate,
        events: Events,
    ) -> Result<Option<Opened>, IngestError> {
        let (media, file) = match &self.source {
            Source::One(media) => (media.clone(), None),
            Source::Files(playlist) => {
                let mut playlist = playlist.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(path) = playlist.next_file()? else {
                    return Ok(None);
                };
                let file = playlist.place(&path);
                drop(playlist);
                IngestError::init_gstreamer()?;
                let container = Container::of_file(&path)?;
                (Media::File { path, container }, Some(file))
            }
        };
        let place = media.place();
        intake.enter(&place, file);
        let pipeline = MediaPipeline::start(&media, &self.templates, events, GatedIntake { intake, gate })?;
        Ok(Some(Opened { pipeline, place }))
    }

    /// Whether the file opened last was the last of its pass; so for every source that is no list of files.
    pub fn pass_is_over(&self) -> bool {
        match &self.source {
            Source::One(_) => true,
            Source::Files(playlist) => playlist
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .at_pass_end(),
        }
    }

    /// Passes over the files begun so far.
    pub fn passes(&self) -> u64 {
        match &self.source {
            Source::One(_) => 0,
            Source::Files(playlist) => playlist.lock().unwrap_or_else(PoisonError::into_inner).passes(),
        }
    }
}

/// Takes a pipeline down on a thread of its own, which may never come back: then it is left behind.
pub(super) struct Teardown {
    pub pipeline: MediaPipeline,
    pub intake: Arc<Intake>,
    pub reason: SegmentEndReason,
    /// Set when nobody waits any longer: the intake may already serve the next pipeline.
    pub left_behind: Arc<AtomicBool>,
    /// Counts pipelines that nobody waits for and that hang still.
    pub hanging: Arc<AtomicU64>,
}

impl Teardown {
    /// Begins; `done` is called when all is down, unless it was left behind.
    pub fn begin(self, thread: String, done: impl FnOnce() + Send + 'static) {
        spare_thread(thread, move || {
            self.pipeline.stop();
            if self.left_behind.load(Ordering::Relaxed) {
                // Late, but not lost.
                self.hanging.fetch_sub(1, Ordering::Relaxed);
            } else {
                self.intake.end_segment(self.reason);
                done();
            }
        });
    }
}

/// Runs `work` on a thread that may block or hang.
pub(super) fn spare_thread(name: String, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name(name).spawn(work) {
        tracing::error!(%error, "no thread for ingest; the stream's watchdog will notice");
    }
}
