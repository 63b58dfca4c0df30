use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::Sender;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    ByteBudget, FilePlace, FirstNumbers, IngestConfig, IngestError, IngestItem, Ledger, LedgerSnapshot,
    Repeat, SegmentEndReason, SourceKind, StreamConfig, StreamName, StreamState, Templates, WallClock,
    backoff::Backoff,
    intake::{Gate, Intake, Overload},
    lifecycle::{Action, Happening, Lifecycle, Manner, OnEnd, OnFailure},
    opener::{Opened, Opener, Teardown, spare_thread},
    pipeline::{MediaPipeline, PipelineEvent},
};

/// How often a stream looks after itself.
const TICK: Duration = Duration::from_millis(250);

/// How often a stream that is going looks whether its last words find room.
const FLUSH_POLL: Duration = Duration::from_millis(50);

/// Watches over one stream: opens its source, notices when it fails, stalls or ends, closes it and opens it again. It holds
/// no media: GStreamer's threads carry that past it.
///
/// When it stops, its pipeline is closed and [`IngestItem::Ended`] is sent.
#[derive(Debug, Default)]
pub struct StreamActor;

/// Everything a stream needs.
pub struct StreamParts {
    /// Its name.
    pub name: StreamName,
    /// Where its video comes from.
    pub source: SourceKind,
    /// Its entry in the config.
    pub config: StreamConfig,
    /// What all streams share.
    pub ingest: IngestConfig,
    /// The pipelines.
    pub templates: Templates,
    /// Accounts for every access unit.
    pub ledger: Ledger,
    /// Memory for access units, shared by all streams.
    pub budget: ByteBudget,
    /// Where access units go; bounded, with room for at least two items.
    pub items: Sender<IngestItem>,
    /// What its first segment and unit are called.
    pub first: FirstNumbers,
    /// The file that a list of files begins with, if not its first.
    pub begin: Option<FilePlace>,
    /// Time of arrival.
    pub wall_clock: WallClock,
    /// Chooses the jitter of restarts.
    pub random_seed: u64,
    /// Told of every change of state. Must not block.
    pub report: Arc<dyn Fn(StreamReport) + Send + Sync>,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamReport {
    /// The stream's name.
    pub stream: String,
    /// The new state.
    pub state: StreamState,
    /// Why, in words; no credentials.
    pub reason: String,
    /// Whether a failure led to it. A stream that ended like this gave nothing.
    pub failed: bool,
    /// Since when, nanoseconds since the Unix epoch.
    pub since_unix_ns: u64,
}

/// A stream at one instant.
#[derive(Clone, Debug)]
pub struct StreamStatus {
    /// The state, and why.
    pub report: StreamReport,
    /// The source, without credentials.
    pub source: String,
    /// The file or URI that is open now, without credentials.
    pub place: Option<String>,
    /// Columns and rows of the last access unit.
    pub size: Option<(u32, u32)>,
    /// Access units that came, shed ones too.
    pub units: u64,
    /// Access units shed because comove did not keep up.
    pub shed_units: u64,
    /// Segments that have ended.
    pub segments: u64,
    /// Whether the source waits for comove now.
    pub waiting: bool,
    /// Times that a failed source was opened again.
    pub restarts: u64,
    /// Files that could not be read, or not to their end.
    pub failed_files: u64,
    /// Passes over the files begun.
    pub passes: u64,
    /// Pipelines that could not be stopped in time and were left behind.
    pub leaked_pipelines: u64,
    /// What became of the access units.
    pub ledger: LedgerSnapshot,
}

/// What a stream can be told.
#[derive(Debug)]
pub enum StreamMessage {
    /// Start, if it is disabled.
    Start,
    /// Stop; the reply comes when no further access unit will, at the latest after the deadline.
    Stop {
        /// A pipeline that has not stopped by then is left behind.
        deadline: Duration,
        /// Told when it has stopped.
        reply: RpcReplyPort<()>,
    },
    /// Say how it is.
    Status(RpcReplyPort<Box<StreamStatus>>),
    /// From the stream's own threads and timers.
    Own(OwnMessage),
}

/// What a stream tells itself.
#[derive(Debug)]
pub struct OwnMessage {
    /// Counts the pipelines: what an earlier one says is not heard.
    generation: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Tick,
    Opened(Result<Option<Opened>, IngestError>),
    Event(PipelineEvent),
    Closed,
    CloseOverdue,
    WaitOver,
}

/// State of a [`StreamActor`].
pub struct StreamKeeper {
    parts: StreamParts,
    myself: ActorRef<StreamMessage>,
    opener: Opener,
    intake: Arc<Intake>,
    lifecycle: Lifecycle,
    random: ChaCha8Rng,
    begun: Instant,
    generation: u64,
    pipeline: PipelineSlot,
    place: Option<String>,
    leaked_pipelines: u64,
    stop_replies: Vec<RpcReplyPort<()>>,
    close_deadline: Duration,
    report: StreamReport,
    announced: Option<StreamState>,
    finished: bool,
}

/// The one pipeline that a stream has at a time.
enum PipelineSlot {
    Empty,
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

impl Actor for StreamActor {
    type Msg = StreamMessage;
    type State = StreamKeeper;
    type Arguments = StreamParts;

    async fn pre_start(
        &self,
        myself: ActorRef<StreamMessage>,
        parts: StreamParts,
    ) -> Result<StreamKeeper, ActorProcessingErr> {
        let enabled = parts.config.enabled;
        let mut keeper = StreamKeeper::new(parts, myself.clone());
        // Ends with the actor.
        let _ticks = myself.send_interval(TICK, || {
            StreamMessage::Own(OwnMessage {
                generation: 0,
                what: What::Tick,
            })
        });
        if enabled {
            keeper.happen(Happening::Start);
        }
        Ok(keeper)
    }

    async fn handle(
        &self,
        _myself: ActorRef<StreamMessage>,
        message: StreamMessage,
        keeper: &mut StreamKeeper,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            StreamMessage::Start => keeper.happen(Happening::Start),
            StreamMessage::Stop { deadline, reply } => keeper.stop(deadline, reply),
            StreamMessage::Status(reply) => {
                // Whoever asked may be gone.
                let _ = reply.send(Box::new(keeper.status()));
            }
            StreamMessage::Own(own) => keeper.hear(own),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<StreamMessage>,
        keeper: &mut StreamKeeper,
    ) -> Result<(), ActorProcessingErr> {
        keeper.put_down();
        Ok(())
    }
}

impl StreamKeeper {
    fn new(parts: StreamParts, myself: ActorRef<StreamMessage>) -> Self {
        let intake = Intake::new(
            parts.ledger.clone(),
            parts.budget.clone(),
            parts.items.clone(),
            parts.wall_clock.clone(),
            if parts.source.is_live() {
                Overload::Shed
            } else {
                Overload::Block
            },
            parts.ingest.time_jump,
            parts.first,
        );
        let backoff = Backoff::new(parts.ingest.backoff_first, parts.ingest.backoff_longest);
        let lifecycle = Lifecycle::new(manner(&parts), backoff);
        Self {
            opener: Opener::new(
                &parts.source,
                &parts.config,
                parts.templates.clone(),
                parts.begin.clone(),
            ),
            intake: Arc::new(intake),
            random: ChaCha8Rng::seed_from_u64(parts.random_seed),
            begun: Instant::now(),
            generation: 0,
            pipeline: PipelineSlot::Empty,
            place: None,
            leaked_pipelines: 0,
            stop_replies: Vec::new(),
            close_deadline: parts.ingest.teardown_deadline,
            report: StreamReport {
                stream: parts.name.to_string(),
                state: lifecycle.state(),
                reason: lifecycle.reason().to_owned(),
                failed: false,
                since_unix_ns: (parts.wall_clock)(),
            },
            announced: None,
            finished: false,
            lifecycle,
            parts,
            myself,
        }
    }

    /// Tells the state machine, then does what it says.
    fn happen(&mut self, happening: Happening) {
        if let Happening::Failed(error) = &happening {
            tracing::warn!(stream = %self.parts.name, %error, "a source failed");
        }
        let mut next = Some(happening);
        while let Some(happening) = next.take() {
            let action = self
                .lifecycle
                .on(happening, self.begun.elapsed(), &mut self.random);
            self.tell_changes();
            next = self.act(action);
        }
    }

    /// Does one thing; gives back what happens at once because of it.
    fn act(&mut self, action: Action) -> Option<Happening> {
        match action {
            Action::Nothing => None,
            Action::Open => {
                self.open();
                None
            }
            Action::Close(reason) => self.close(reason),
            Action::Wait(wait) => {
                let over = self.own(What::WaitOver);
                // A timer of an actor that has stopped has nobody to tell.
                let _timer = self.myself.send_after(wait, || over);
                None
            }
            Action::Stopped => {
                self.close_deadline = self.parts.ingest.teardown_deadline;
                for reply in self.stop_replies.drain(..) {
                    let _ = reply.send(());
                }
                None
            }
            Action::Finish => {
                self.finish();
                None
            }
        }
    }

    fn own(&self, what: What) -> StreamMessage {
        StreamMessage::Own(OwnMessage {
            generation: self.generation,
            what,
        })
    }

    /// A way for other threads to tell this actor something about the present pipeline.
    fn teller(&self) -> impl Fn(What) + Send + Sync + use<> {
        let (myself, generation) = (self.myself.clone(), self.generation);
        // An actor that has stopped needs to hear no more.
        move |what| drop(myself.cast(StreamMessage::Own(OwnMessage { generation, what })))
    }

    fn open(&mut self) {
        self.generation += 1;
        let gate = Gate::default();
        self.pipeline = PipelineSlot::Opening(gate.clone());
        let (opener, intake) = (self.opener.clone(), self.intake.clone());
        let (tell, tell_events) = (self.teller(), self.teller());
        let events = Arc::new(move |event| tell_events(What::Event(event)));
        spare_thread(format!("open-{}", self.parts.name), move || {
            tell(What::Opened(opener.open(intake, gate, events)));
        });
    }

    fn hear(&mut self, own: OwnMessage) {
        if let What::Tick = own.what {
            self.intake.flush();
            let progress = self.intake.progress();
            let (units, waiting) = (progress.units, progress.waiting);
            return self.happen(Happening::Tick { units, waiting });
        }
        if own.generation != self.generation {
            // A pipeline that opened after it was given up.
            if let What::Opened(Ok(Some(late))) = own.what {
                spare_thread("close-late".to_owned(), move || late.pipeline.stop());
            }
            return;
        }
        match own.what {
            What::Tick => {}
            What::Opened(outcome) => self.opened(outcome),
            What::Event(PipelineEvent::Ignored(track)) => {
                tracing::info!(stream = %self.parts.name, place = self.place.as_deref(), "left out: {track}");
            }
            What::Event(PipelineEvent::FirstUnit) => self.happen(Happening::FirstUnit),
            What::Event(PipelineEvent::FirstKeyUnit) => self.happen(Happening::FirstKeyUnit),
            What::Event(PipelineEvent::EndOfSource) => self.happen(Happening::EndOfSource),
            What::Event(PipelineEvent::Failed(error)) => self.happen(Happening::Failed(error)),
            What::Closed => self.closed(),
            What::CloseOverdue => self.leave_behind(),
            What::WaitOver => self.happen(Happening::WaitOver),
        }
    }

    fn opened(&mut self, outcome: Result<Option<Opened>, IngestError>) {
        let gate = match std::mem::replace(&mut self.pipeline, PipelineSlot::Empty) {
            PipelineSlot::Opening(gate) => gate,
            PipelineSlot::Closing {
                reason, left_behind, ..
            } => {
                // It was told to close before it was open.
                match outcome {
                    Ok(Some(opened)) => self.tear_down(opened.pipeline, reason, left_behind),
                    Ok(None) | Err(_) => {
                        self.pipeline = PipelineSlot::Closing {
                            reason,
                            still_opening: false,
                            left_behind,
                        };
                        self.closed();
                    }
                }
                return;
            }
            other => {
                self.pipeline = other;
                return;
            }
        };
        match outcome {
            Ok(Some(opened)) => {
                tracing::debug!(stream = %self.parts.name, place = opened.place, "opened");
                self.place = Some(opened.place);
                self.pipeline = PipelineSlot::Running(gate, opened.pipeline);
                self.happen(Happening::Opened);
            }
            Ok(None) => self.happen(Happening::NoMoreFiles),
            Err(error) => self.happen(Happening::Failed(error)),
        }
    }

    /// Lets nothing in any more and takes the pipeline down.
    fn close(&mut self, reason: SegmentEndReason) -> Option<Happening> {
        match std::mem::replace(&mut self.pipeline, PipelineSlot::Empty) {
            PipelineSlot::Empty => {
                return Some(Happening::Closed {
                    pass_over: self.opener.pass_is_over(),
                });
            }
            PipelineSlot::Opening(gate) => {
                gate.close();
                self.pipeline = PipelineSlot::Closing {
                    reason,
                    still_opening: true,
                    left_behind: Arc::default(),
                };
            }
            PipelineSlot::Running(gate, pipeline) => {
                gate.close();
                self.tear_down(pipeline, reason, Arc::default());
            }
            closing @ PipelineSlot::Closing { .. } => self.pipeline = closing,
        }
        self.set_deadline(self.close_deadline);
        None
    }

    fn tear_down(&mut self, pipeline: MediaPipeline, reason: SegmentEndReason, left_behind: Arc<AtomicBool>) {
        let teardown = Teardown {
            pipeline,
            intake: self.intake.clone(),
            reason: reason.clone(),
            left_behind: left_behind.clone(),
        };
        let tell = self.teller();
        teardown.begin(format!("close-{}", self.parts.name), move || tell(What::Closed));
        self.pipeline = PipelineSlot::Closing {
            reason,
            still_opening: false,
            left_behind,
        };
    }

    fn set_deadline(&self, deadline: Duration) {
        let overdue = self.own(What::CloseOverdue);
        let _timer = self.myself.send_after(deadline, || overdue);
    }

    fn closed(&mut self) {
        if let PipelineSlot::Closing { .. } = self.pipeline {
            self.pipeline = PipelineSlot::Empty;
            self.place = None;
            let pass_over = self.opener.pass_is_over();
            self.happen(Happening::Closed { pass_over });
        }
    }

    /// Goes on without a pipeline that does not stop.
    fn leave_behind(&mut self) {
        let PipelineSlot::Closing {
            reason,
            still_opening,
            left_behind,
        } = &self.pipeline
        else {
            return;
        };
        left_behind.store(true, Ordering::Relaxed);
        self.leaked_pipelines += 1;
        tracing::error!(
            stream = %self.parts.name,
            leaked = self.leaked_pipelines,
            still_opening,
            "a pipeline did not stop in time and is left behind"
        );
        self.intake.end_segment(reason.clone());
        self.closed();
    }

    fn stop(&mut self, deadline: Duration, reply: RpcReplyPort<()>) {
        self.stop_replies.push(reply);
        self.close_deadline = deadline.min(self.parts.ingest.teardown_deadline);
        if let PipelineSlot::Closing { .. } = self.pipeline {
            self.set_deadline(self.close_deadline);
        }
        self.happen(Happening::Stop);
    }

    fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            self.intake.finish(!self.lifecycle.has_failed());
        }
    }

    /// The actor is going: close what is open, and say that nothing more will come.
    fn put_down(&mut self) {
        let reason = SegmentEndReason::Interrupted("the stream was removed".to_owned());
        let intake = self.intake.clone();
        let patience = self.parts.ingest.teardown_deadline;
        let finished = std::mem::replace(&mut self.finished, true);
        let pipeline = match std::mem::replace(&mut self.pipeline, PipelineSlot::Empty) {
            PipelineSlot::Running(gate, pipeline) => {
                gate.close();
                Some(pipeline)
            }
            PipelineSlot::Opening(gate) => {
                gate.close();
                None
            }
            PipelineSlot::Closing { .. } | PipelineSlot::Empty => None,
        };
        for reply in self.stop_replies.drain(..) {
            let _ = reply.send(());
        }
        spare_thread(format!("end-{}", self.parts.name), move || {
            // The ends first: the pipeline may never stop, and its gate is closed.
            intake.wait_until_clear();
            intake.end_segment(reason);
            if !finished {
                intake.finish(false);
            }
            let mut patience = patience;
            while !intake.flush() && !patience.is_zero() {
                std::thread::sleep(FLUSH_POLL.min(patience));
                patience = patience.saturating_sub(FLUSH_POLL);
            }
            if let Some(pipeline) = pipeline {
                pipeline.stop();
            }
        });
    }

    fn tell_changes(&mut self) {
        let (state, reason) = (self.lifecycle.state(), self.lifecycle.reason());
        if (state, reason) == (self.report.state, self.report.reason.as_str()) {
            return;
        }
        self.report = StreamReport {
            stream: self.parts.name.to_string(),
            state,
            reason: reason.to_owned(),
            failed: self.lifecycle.has_failed(),
            since_unix_ns: (self.parts.wall_clock)(),
        };
        let passing = matches!(state, StreamState::Starting | StreamState::WaitingForKeyFrame);
        // A folder goes through these states with every file: said once is enough.
        if passing || self.announced == Some(state) && state == StreamState::Running {
            tracing::debug!(stream = %self.parts.name, %state, reason);
        } else {
            self.announced = Some(state);
            tracing::info!(stream = %self.parts.name, %state, reason);
        }
        (self.parts.report)(self.report.clone());
    }

    fn status(&self) -> StreamStatus {
        let progress = self.intake.progress();
        StreamStatus {
            report: self.report.clone(),
            source: self.parts.source.to_string(),
            place: self.place.clone(),
            size: self.intake.format().map(|format| (format.width, format.height)),
            units: progress.units,
            shed_units: progress.shed_units,
            segments: progress.segments,
            waiting: progress.waiting,
            restarts: self.lifecycle.restarts(),
            failed_files: self.lifecycle.failed_files(),
            passes: self.opener.passes(),
            leaked_pipelines: self.leaked_pipelines,
            ledger: self.parts.ledger.snapshot(),
        }
    }
}

/// How a source of this kind behaves.
fn manner(parts: &StreamParts) -> Manner {
    let endless = parts.config.repeat == Repeat::Endless;
    let (on_failure, on_end, watched) = match &parts.source {
        SourceKind::File(_) | SourceKind::Folder(_) => (OnFailure::NextFile, OnEnd::Next, false),
        SourceKind::Rtsp(_) => (OnFailure::BackOff, OnEnd::Failure, true),
        SourceKind::Http(_) if endless => (OnFailure::BackOff, OnEnd::Next, true),
        SourceKind::Http(_) => (OnFailure::BackOff, OnEnd::End, true),
        SourceKind::Synthetic(synthetic) => (OnFailure::End, OnEnd::End, synthetic.live),
    };
    let stall_timeout = parts.config.stall_timeout.unwrap_or(parts.ingest.stall_timeout);
    Manner {
        place: parts.source.to_string(),
        on_failure,
        on_end,
        endless,
        open_timeout: parts.ingest.open_timeout,
        stall_timeout: watched.then_some(stall_timeout),
    }
}
