use std::{path::PathBuf, sync::Arc, time::Duration};

use crossbeam_channel::{RecvTimeoutError, Sender};
use gstreamer as gst;

use super::{
    Container, IngestError, Playlist, SourceKind, Templates, Transport, VideoFormat, intake,
    pipeline::{Media, MediaPipeline, PipelineEvent, UnitSink},
};

/// What a source is, seen from its first access unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The format of the first access unit.
    pub format: VideoFormat,
    /// What the file's video is wrapped in; none for what is no file. Of a folder, its first readable file.
    pub container: Option<Container>,
    /// Tracks that will be left out, in words.
    pub ignored_tracks: Vec<String>,
    /// Video files that a folder holds; 1 for a file.
    pub files: usize,
    /// Files of a folder that had to be passed over to find a readable one, and why.
    pub unreadable: Vec<(PathBuf, IngestError)>,
}

/// Opens a source as a stream would, waits for its first access unit and closes it again. Blocks up to `patience` (for each
/// file that has to be tried, where the source is a folder).
pub fn probe(source: &SourceKind, templates: &Templates, patience: Duration) -> Result<Probe, IngestError> {
    IngestError::init_gstreamer()?;
    match source {
        SourceKind::File(path) => probe_file(path.clone(), templates, patience),
        SourceKind::Folder(folder) => probe_folder(folder, templates, patience),
        SourceKind::Rtsp(uri) => {
            let media = Media::Rtsp {
                uri: uri.clone(),
                transport: Transport::Tcp,
                latency: Duration::ZERO,
            };
            probe_media(&media, None, templates, patience)
        }
        SourceKind::Http(uri) => probe_media(&Media::Http(uri.clone()), None, templates, patience),
        SourceKind::Synthetic(config) => {
            probe_media(&Media::Synthetic(config.clone()), None, templates, patience)
        }
    }
}

fn probe_file(path: PathBuf, templates: &Templates, patience: Duration) -> Result<Probe, IngestError> {
    let container = Container::of_file(&path)?;
    probe_media(
        &Media::File { path, container },
        Some(container),
        templates,
        patience,
    )
}

fn probe_folder(
    folder: &std::path::Path,
    templates: &Templates,
    patience: Duration,
) -> Result<Probe, IngestError> {
    let files = Playlist::files_of(folder)?;
    let mut unreadable = Vec::new();
    for path in &files {
        match probe_file(path.clone(), templates, patience) {
            Ok(found) => {
                return Ok(Probe {
                    files: files.len(),
                    unreadable,
                    ..found
                });
            }
            Err(error) => unreadable.push((path.clone(), error)),
        }
    }
    Err(IngestError::NoReadableFile {
        path: folder.to_owned(),
        files: files.len(),
        last: unreadable
            .last()
            .map(|(_, error)| error.to_string())
            .unwrap_or_default(),
    })
}

enum Heard {
    Format(VideoFormat),
    Event(PipelineEvent),
}

/// Takes the first unit's format and refuses all others.
struct FirstUnit {
    told: Sender<Heard>,
    place: String,
}

impl UnitSink for FirstUnit {
    fn take(&mut self, sample: &gst::Sample) -> Result<gst::FlowSuccess, gst::FlowError> {
        if let Some(caps) = sample.caps() {
            // Only the first is waited for; the channel may be gone by the next.
            let _ = self
                .told
                .send(Heard::Format(intake::video_format(caps, &self.place)));
        }
        Err(gst::FlowError::Eos)
    }

    fn end(&mut self) {}
}

fn probe_media(
    media: &Media,
    container: Option<Container>,
    templates: &Templates,
    patience: Duration,
) -> Result<Probe, IngestError> {
    let (told, heard) = crossbeam_channel::unbounded();
    let events = {
        let told = told.clone();
        // As above.
        Arc::new(move |event| drop(told.send(Heard::Event(event))))
    };
    let place = media.place();
    let pipeline = MediaPipeline::start(media, templates, events, FirstUnit { told, place })?;
    let give_up = crossbeam_channel::after(patience);
    let mut ignored_tracks = Vec::new();
    let outcome = loop {
        let next = crossbeam_channel::select! {
            recv(heard) -> heard => heard.map_err(|_| RecvTimeoutError::Disconnected),
            recv(give_up) -> _ => Err(RecvTimeoutError::Timeout),
        };
        match next {
            Ok(Heard::Format(format)) => break Ok(format),
            Ok(Heard::Event(PipelineEvent::Failed(error))) => break Err(error),
            Ok(Heard::Event(PipelineEvent::Ignored(track))) => ignored_tracks.push(track),
            Ok(Heard::Event(_)) => {}
            Err(_) => {
                break Err(IngestError::Silent {
                    place: media.place(),
                    waited: patience,
                });
            }
        }
    };
    // Stops on a thread of its own: a dead server can hold that up, and the answer need not wait for it.
    drop(pipeline);
    Ok(Probe {
        format: outcome?,
        container,
        ignored_tracks,
        files: 1,
        unreadable: Vec::new(),
    })
}
