use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use super::{
    StreamParts, StreamReport, StreamState, StreamStatus,
    backoff::Backoff,
    intake::{Intake, Overload},
    lifecycle::{Action, Happening, Lifecycle},
    opener::Opener,
    pipeline_slot::{PipelineSlot, Said, SlotNews},
    stream::manner,
};

/// How often a stream looks after itself.
const TICK: Duration = Duration::from_millis(250);

/// Watches over one stream: opens its source, notices when it fails, stalls or ends, closes it and opens it again. It holds
/// no media: GStreamer's threads carry that past it.
///
/// When it stops, its pipeline is closed and [`IngestItem::Ended`](super::IngestItem::Ended) is sent.
#[derive(Debug, Default)]
pub struct StreamActor;

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
pub struct OwnMessage(Own);

#[derive(Debug)]
enum Own {
    Tick,
    /// From the threads that open and close its pipelines.
    Slot(SlotNews),
    /// The back-off after so many pipelines is over.
    WaitOver(u64),
}

impl StreamMessage {
    pub(super) fn slot(news: SlotNews) -> Self {
        Self::Own(OwnMessage(Own::Slot(news)))
    }
}

/// State of a [`StreamActor`].
pub struct StreamKeeper {
    parts: StreamParts,
    myself: ActorRef<StreamMessage>,
    intake: Arc<Intake>,
    lifecycle: Lifecycle,
    random: ChaCha8Rng,
    begun: Instant,
    pipeline: PipelineSlot,
    stop_replies: Vec<RpcReplyPort<()>>,
    close_deadline: Duration,
    report: StreamReport,
    announced: Option<StreamState>,
    finished: Said,
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
        let _ticks = myself.send_interval(TICK, || StreamMessage::Own(OwnMessage(Own::Tick)));
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
            StreamMessage::Own(OwnMessage(own)) => keeper.hear(own),
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
        let intake = Arc::new(Intake::new(
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
        ));
        let backoff = Backoff::new(parts.ingest.backoff_first, parts.ingest.backoff_longest);
        let lifecycle = Lifecycle::new(manner(&parts), backoff);
        let opener = Opener::new(
            &parts.source,
            &parts.config,
            parts.templates.clone(),
            parts.begin.clone(),
        );
        Self {
            pipeline: PipelineSlot::new(parts.name.clone(), opener, intake.clone(), myself.clone()),
            intake,
            random: ChaCha8Rng::seed_from_u64(parts.random_seed),
            begun: Instant::now(),
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
            finished: Said::NotYet,
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
            Action::Nothing => {}
            Action::Open => self.pipeline.open(),
            Action::Close(reason) => return self.pipeline.close(reason, self.close_deadline),
            Action::Wait(wait) => {
                let wait = match self.parts.source.host() {
                    Some(host) => {
                        let now = Instant::now().into_std();
                        self.parts.pacer.wait(host, now, wait)
                    }
                    None => wait,
                };
                let over = Own::WaitOver(self.pipeline.generation());
                // A timer of an actor that has stopped has nobody to tell.
                let _timer = self
                    .myself
                    .send_after(wait, || StreamMessage::Own(OwnMessage(over)));
            }
            Action::Stopped => {
                self.close_deadline = self.parts.ingest.teardown_deadline;
                for reply in self.stop_replies.drain(..) {
                    let _ = reply.send(());
                }
            }
            Action::Finish => {
                if std::mem::replace(&mut self.finished, Said::Already) == Said::NotYet {
                    self.intake.finish(!self.lifecycle.has_failed());
                }
            }
        }
        None
    }

    fn hear(&mut self, own: Own) {
        let happening = match own {
            Own::Tick => {
                self.intake.flush();
                let progress = self.intake.progress();
                let (units, waiting) = (progress.units, progress.waiting);
                Some(Happening::Tick { units, waiting })
            }
            Own::Slot(news) => self.pipeline.hear(news),
            Own::WaitOver(generation) => {
                (generation == self.pipeline.generation()).then_some(Happening::WaitOver)
            }
        };
        if let Some(happening) = happening {
            self.happen(happening);
        }
    }

    fn stop(&mut self, deadline: Duration, reply: RpcReplyPort<()>) {
        self.stop_replies.push(reply);
        self.close_deadline = deadline.min(self.parts.ingest.teardown_deadline);
        self.pipeline.hurry(self.close_deadline);
        self.happen(Happening::Stop);
    }

    /// The actor is going: closes what is open, and says that nothing more will come.
    fn put_down(&mut self) {
        let said = std::mem::replace(&mut self.finished, Said::Already);
        self.pipeline.put_down(said, self.parts.ingest.teardown_deadline);
        for reply in self.stop_replies.drain(..) {
            let _ = reply.send(());
        }
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
            place: self.pipeline.place().map(str::to_owned),
            size: self.intake.format().map(|format| (format.width, format.height)),
            units: progress.units,
            shed_units: progress.shed_units,
            segments: progress.segments,
            waiting: progress.waiting,
            restarts: self
                .lifecycle
                .restarts()
                .iter()
                .map(|(reason, times)| (reason.label(), *times))
                .collect(),
            failed_files: self.lifecycle.failed_files(),
            passes: self.pipeline.passes(),
            leaked_pipelines: self.pipeline.leaked(),
            hanging_pipelines: self.pipeline.hanging(),
            ledger: self.parts.ledger.snapshot(),
        }
    }
}
