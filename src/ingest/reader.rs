use std::{path::Path, sync::Arc, time::Duration};

use crossbeam_channel::Receiver;

use super::{
    AccessUnit, ByteBudget, Container, FirstNumbers, IngestError, IngestItem, Ledger, SourceKind, Templates,
    Transport,
    intake::{Gate, GatedIntake, Intake, Overload},
    pipeline::{Media, MediaPipeline, PipelineEvent},
};

/// Compressed video that a reader holds at most.
const MEMORY_BYTES: usize = 64 << 20;
/// A source that is silent for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);
const TIME_JUMP: Duration = Duration::from_secs(2);

/// The access units of one source, one after the other, for programs that look at a video once: an iterator without actor,
/// restart or supervision. Memory is bounded: the source waits for the reader, and for the units that the reader keeps.
pub struct UnitReader {
    place: String,
    _pipeline: MediaPipeline,
    gate: Gate,
    items: Receiver<IngestItem>,
    events: Receiver<PipelineEvent>,
    end: Option<Result<(), IngestError>>,
    ignored_tracks: Vec<String>,
}

impl UnitReader {
    /// Opens a file of any container that comove knows.
    pub fn open_file(path: &Path, templates: &Templates) -> Result<Self, IngestError> {
        Self::open(&SourceKind::File(path.to_owned()), templates)
    }

    /// Opens any source but a folder.
    pub fn open(source: &SourceKind, templates: &Templates) -> Result<Self, IngestError> {
        IngestError::init_gstreamer()?;
        let media = match source {
            SourceKind::File(path) => Media::File {
                container: Container::of_file(path)?,
                path: path.clone(),
            },
            SourceKind::Folder(path) => {
                return Err(IngestError::Unreadable {
                    path: path.clone(),
                    message: "is a folder, not a file".to_owned(),
                });
            }
            SourceKind::Rtsp(uri) => Media::Rtsp {
                uri: uri.clone(),
                transport: Transport::Tcp,
                latency: Duration::from_millis(200),
            },
            SourceKind::Http(uri) => Media::Http(uri.clone()),
            SourceKind::Synthetic(config) => Media::Synthetic(config.clone()),
        };
        let (sender, items) = crossbeam_channel::bounded(32);
        let (tell, events) = crossbeam_channel::unbounded();
        let overload = if source.is_live() {
            Overload::Shed
        } else {
            Overload::Block
        };
        let intake = Arc::new(Intake::new(
            Ledger::new(),
            ByteBudget::new(MEMORY_BYTES),
            sender,
            Arc::new(unix_ns),
            overload,
            TIME_JUMP,
            FirstNumbers::default(),
        ));
        let gate = Gate::default();
        let sink = GatedIntake {
            intake,
            gate: gate.clone(),
        };
        // A reader that is gone needs to hear no more.
        let tell = Arc::new(move |event| drop(tell.send(event)));
        let pipeline = MediaPipeline::start(&media, templates, tell, sink)?;
        Ok(Self {
            place: media.place(),
            _pipeline: pipeline,
            gate,
            items,
            events,
            end: None,
            ignored_tracks: Vec::new(),
        })
    }

    /// Tracks that are left out, as far as they are known.
    pub fn ignored_tracks(&self) -> &[String] {
        &self.ignored_tracks
    }

    fn hear(&mut self, event: PipelineEvent) {
        match event {
            PipelineEvent::Ignored(track) => self.ignored_tracks.push(track),
            PipelineEvent::Failed(error) => self.end = Some(Err(error)),
            PipelineEvent::EndOfSource => self.end = Some(Ok(())),
            PipelineEvent::FirstUnit | PipelineEvent::FirstKeyUnit => {}
        }
    }
}

impl Iterator for UnitReader {
    type Item = Result<AccessUnit, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Units before events: what came before the end is given out before it.
            match self.items.try_recv() {
                Ok(IngestItem::Unit(unit)) => return Some(Ok(unit)),
                Ok(IngestItem::SegmentEnd { .. } | IngestItem::Ended { .. }) => continue,
                Err(_) => {}
            }
            match &mut self.end {
                Some(Ok(())) => return None,
                Some(end @ Err(_)) => return std::mem::replace(end, Ok(())).err().map(Err),
                None => {}
            }
            crossbeam_channel::select! {
                recv(self.items) -> item => match item {
                    Ok(IngestItem::Unit(unit)) => return Some(Ok(unit)),
                    Ok(_) => {}
                    Err(_) => self.end = Some(Ok(())),
                },
                recv(self.events) -> event => match event {
                    Ok(event) => self.hear(event),
                    Err(_) => self.end = Some(Ok(())),
                },
                default(PATIENCE) => {
                    let place = self.place.clone();
                    self.end = Some(Err(IngestError::Silent { place, waited: PATIENCE }));
                }
            }
        }
    }
}

impl Drop for UnitReader {
    fn drop(&mut self) {
        // The pipeline, dropped next, stops on a thread of its own.
        self.gate.close();
    }
}

/// Nanoseconds since the Unix epoch.
fn unix_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
