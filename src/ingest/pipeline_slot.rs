use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ractor::ActorRef;

use super::{
    IngestError, SegmentEndReason, StreamMessage, StreamName,
    intake::{Gate, Intake},
    lifecycle::Happening,
    opener::{Opened, Opener, Teardown, spare_thread},
    pipeline::{MediaPipeline, PipelineEvent},
};

/// How often a stream that is going looks whether its last words find room.
const FLUSH_POLL: Duration = Duration::from_millis(50);

/// The place of the one pipeline that a stream has at a time. Opens and closes it on threads that may hang, and turns what
/// those say into what happens to the stream.
pub(super) struct PipelineSlot {
    stream: StreamName,
    opener: Opener,
    intake: Arc<Intake>,
    /// Who is told what the threads have to say.
    actor: ActorRef<StreamMessage>,
    /// Counts the pipelines: what an earlier one says is not heard.
    generation: u64,
    held: Held,
    place: Option<String>,
    leaked: u64,
    hanging: Arc<AtomicU64>,
}

/// What the slot's threads and timers say.
#[derive(Debug)]
pub(super) struct SlotNews {
    generation: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Opened(Result<Option<Opened>, IngestError>),
    Event(PipelineEvent),
    Closed,
    CloseOverdue,
}

enum Held {
    Nothing,
    /// A thread opens it.
    Opening(Gate),
    Running(Gate, MediaPipeline),
    /// It is going down, or will as soon as it has been opened.
    Closing {
        reason: SegmentEndReason,
        still_opening: bool,
        left_behind: Arc<AtomicBool>,
    },
}

impl PipelineSlot {
    pub fn new(
        stream: StreamName,
        opener: Opener,
        intake: Arc<Intake>,
        actor: ActorRef<StreamMessage>,
    ) -> Self {
        Self {
            stream,
            opener,
            intake,
            actor,
            generation: 0,
            held: Held::Nothing,
            place: None,
            leaked: 0,
            hanging: Arc::default(),
        }
    }

    /// Counts the pipelines so far.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The file or URI that is open now, without credentials.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// Pipelines that could not be stopped in time and were left behind.
    pub fn leaked(&self) -> u64 {
        self.leaked
    }

    /// Those of them that hang still.
    pub fn hanging(&self) -> u64 {
        self.hanging.load(Ordering::Relaxed)
    }

    /// Passes over the files begun.
    pub fn passes(&self) -> u64 {
        self.opener.passes()
    }

    /// A way for other threads to say something about the present pipeline.
    fn teller(&self) -> impl Fn(What) + Send + Sync + use<> {
        let (actor, generation) = (self.actor.clone(), self.generation);
        // An actor that has stopped needs to hear no more.
        move |what| drop(actor.cast(StreamMessage::slot(SlotNews { generation, what })))
    }

    /// Opens the source, or the next file of the playlist, on a thread of its own.
    pub fn open(&mut self) {
        self.generation += 1;
        let gate = Gate::default();
        self.held = Held::Opening(gate.clone());
        let (opener, intake) = (self.opener.clone(), self.intake.clone());
        let (tell, tell_events) = (self.teller(), self.teller());
        let events = Arc::new(move |event| tell_events(What::Event(event)));
        spare_thread(format!("open-{}", self.stream), move || {
            tell(What::Opened(opener.open(intake, gate, events)));
        });
    }

    /// What the news mean for the stream, if anything.
    pub fn hear(&mut self, news: SlotNews) -> Option<Happening> {
        if news.generation != self.generation {
            // A pipeline that opened after it was given up.
            if let What::Opened(Ok(Some(late))) = news.what {
                spare_thread("close-late".to_owned(), move || late.pipeline.stop());
            }
            return None;
        }
        match news.what {
            What::Opened(outcome) => self.opened(outcome),
            What::Event(PipelineEvent::Ignored(track)) => {
                tracing::info!(stream = %self.stream, place = self.place.as_deref(), "left out: {track}");
                None
            }
            What::Event(PipelineEvent::FirstUnit) => Some(Happening::FirstUnit),
            What::Event(PipelineEvent::FirstKeyUnit) => Some(Happening::FirstKeyUnit),
            What::Event(PipelineEvent::EndOfSource) => Some(Happening::EndOfSource),
            What::Event(PipelineEvent::Failed(error)) => Some(Happening::Failed(error)),
            What::Closed => self.closed(),
            What::CloseOverdue => self.leave_behind(),
        }
    }

    fn opened(&mut self, outcome: Result<Option<Opened>, IngestError>) -> Option<Happening> {
        match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Opening(gate) => Some(match outcome {
                Ok(Some(opened)) => {
                    tracing::debug!(stream = %self.stream, place = opened.place, "opened");
                    self.place = Some(opened.place);
                    self.held = Held::Running(gate, opened.pipeline);
                    Happening::Opened
                }
                Ok(None) => Happening::NoMoreFiles,
                Err(error) => Happening::Failed(error),
            }),
            // It was told to close before it was open.
            Held::Closing {
                reason, left_behind, ..
            } => match outcome {
                Ok(Some(opened)) => {
                    self.tear_down(opened.pipeline, reason, left_behind);
                    None
                }
                Ok(None) | Err(_) => {
                    self.held = Held::Closing {
                        reason,
                        still_opening: false,
                        left_behind,
                    };
                    self.closed()
                }
            },
            other => {
                self.held = other;
                None
            }
        }
    }

    /// Lets nothing in any more and takes the pipeline down; one that is not down after `deadline` is left behind.
    pub fn close(&mut self, reason: SegmentEndReason, deadline: Duration) -> Option<Happening> {
        match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Nothing => {
                return Some(Happening::Closed {
                    pass_over: self.opener.pass_is_over(),
                });
            }
            Held::Opening(gate) => {
                gate.close();
                self.held = Held::Closing {
                    reason,
                    still_opening: true,
                    left_behind: Arc::default(),
                };
            }
            Held::Running(gate, pipeline) => {
                gate.close();
                self.tear_down(pipeline, reason, Arc::default());
            }
            closing @ Held::Closing { .. } => self.held = closing,
        }
        self.set_deadline(deadline);
        None
    }

    fn tear_down(&mut self, pipeline: MediaPipeline, reason: SegmentEndReason, left_behind: Arc<AtomicBool>) {
        let teardown = Teardown {
            pipeline,
            intake: self.intake.clone(),
            reason: reason.clone(),
            left_behind: left_behind.clone(),
            hanging: self.hanging.clone(),
        };
        let tell = self.teller();
        teardown.begin(format!("close-{}", self.stream), move || tell(What::Closed));
        self.held = Held::Closing {
            reason,
            still_opening: false,
            left_behind,
        };
    }

    /// Shortens the time that a pipeline which is going down already may take.
    pub fn hurry(&self, deadline: Duration) {
        if let Held::Closing { .. } = self.held {
            self.set_deadline(deadline);
        }
    }

    fn set_deadline(&self, deadline: Duration) {
        let overdue = StreamMessage::slot(SlotNews {
            generation: self.generation,
            what: What::CloseOverdue,
        });
        // A timer of an actor that has stopped has nobody to tell.
        let _timer = self.actor.send_after(deadline, || overdue);
    }

    fn closed(&mut self) -> Option<Happening> {
        let Held::Closing { .. } = self.held else {
            return None;
        };
        self.held = Held::Nothing;
        self.place = None;
        let pass_over = self.opener.pass_is_over();
        Some(Happening::Closed { pass_over })
    }

    /// Goes on without a pipeline that does not stop.
    fn leave_behind(&mut self) -> Option<Happening> {
        let Held::Closing {
            reason,
            still_opening,
            left_behind,
        } = &self.held
        else {
            return None;
        };
        // Counted before it is told: whoever stops late takes itself off again.
        if !*still_opening {
            self.hanging.fetch_add(1, Ordering::Relaxed);
        }
        left_behind.store(true, Ordering::Relaxed);
        self.leaked += 1;
        tracing::error!(
            stream = %self.stream,
            leaked = self.leaked,
            still_opening,
            "a pipeline did not stop in time and is left behind"
        );
        self.intake.end_segment(reason.clone());
        self.closed()
    }

    /// The actor is going: closes what is open, and says that nothing more will come, unless that was `said` already.
    pub fn put_down(&mut self, said: Said, mut patience: Duration) {
        let intake = self.intake.clone();
        let pipeline = match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Running(gate, pipeline) => {
                gate.close();
                Some(pipeline)
            }
            Held::Opening(gate) => {
                gate.close();
                None
            }
            Held::Closing { .. } | Held::Nothing => None,
        };
        spare_thread(format!("end-{}", self.stream), move || {
            // The ends first: the pipeline may never stop, and its gate is closed.
            intake.wait_until_clear();
            intake.end_segment(SegmentEndReason::Stopped);
            if said == Said::NotYet {
                intake.finish(false);
            }
            while !intake.flush() && !patience.is_zero() {
                std::thread::sleep(FLUSH_POLL.min(patience));
                patience = patience.saturating_sub(FLUSH_POLL);
            }
            if let Some(pipeline) = pipeline {
                pipeline.stop();
            }
        });
    }
}

/// Whether a stream has said that nothing more will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    NotYet,
    Already,
}
