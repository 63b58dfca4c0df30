use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use super::entry::Register;
use super::member::{Look, Member, stop_actor, tell};
use super::stream_group::{SharedParts, StreamSetup};
use crate::ingest::{StreamName, StreamReport};
use crate::telemetry::Heartbeat;
use crate::window::ScoutHandle;

/// How often the supervisor looks after its streams.
const TICK: Duration = Duration::from_millis(200);

/// Keeps a group for every stream: starts them, starts again what failed, lets streams come and go, says when all are over.
pub(super) struct Supervisor;

/// What the supervisor is made of.
pub(super) struct SupervisorParts {
    pub shared: Arc<SharedParts>,
    pub streams: Vec<StreamSetup>,
    /// Where the outside looks for streams.
    pub register: Register,
    pub heartbeat: Heartbeat,
    /// Becomes true when every stream is over and all of its windows have become samples or failed.
    pub all_over: watch::Sender<bool>,
}

pub(super) enum SupervisorMessage {
    /// A stream changed its state.
    Report(StreamReport),
    /// Time to look after the streams.
    Tick,
    /// Start a stream, in the place of one of the same name if there is one; the reply comes when that one has stopped.
    Put {
        setup: Box<StreamSetup>,
        deadline: Duration,
        reply: RpcReplyPort<()>,
    },
    /// Stop a stream; it stays, and can be put again. The reply comes when no further access unit will.
    Disable {
        name: StreamName,
        deadline: Duration,
        reply: RpcReplyPort<()>,
    },
    /// Stop a stream and take it out; the reply comes when no further access unit will.
    Remove {
        name: StreamName,
        deadline: Duration,
        reply: RpcReplyPort<()>,
    },
    /// Stop all streams; the reply comes when no further access unit will, or after the deadline.
    StopAll {
        deadline: Duration,
        reply: RpcReplyPort<()>,
    },
}

pub(super) struct SupervisorState {
    shared: Arc<SharedParts>,
    register: Register,
    heartbeat: Heartbeat,
    all_over: watch::Sender<bool>,
    members: Vec<Member>,
    /// Groups that streams had which are gone: names come back, and the actors' names must not.
    generations: HashMap<StreamName, u64>,
    /// Scouts of streams that are gone: they end when replay and decoders let go of their last windows.
    lingering: Vec<ScoutHandle>,
    random: ChaCha8Rng,
    ticks: u64,
    stopping: bool,
}

impl Actor for Supervisor {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = SupervisorParts;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMessage>,
        parts: SupervisorParts,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let mut state = SupervisorState {
            random: ChaCha8Rng::seed_from_u64(parts.shared.seed),
            shared: parts.shared,
            register: parts.register,
            heartbeat: parts.heartbeat,
            all_over: parts.all_over,
            members: Vec::new(),
            generations: HashMap::new(),
            lingering: Vec::new(),
            ticks: 0,
            stopping: false,
        };
        for setup in parts.streams {
            state.admit(setup);
        }
        for member in &mut state.members {
            member.end_if_over_before(&state.shared);
        }
        state.tick(&myself).await;
        // Ends with the actor.
        let _ticks = myself.send_interval(TICK, || SupervisorMessage::Tick);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::Report(report) => {
                if let Some(member) = state.member(&report.stream) {
                    member.entry().reported(report);
                }
            }
            SupervisorMessage::Tick => state.tick(&myself).await,
            SupervisorMessage::Put {
                setup,
                deadline,
                reply,
            } => {
                match state.member(setup.entry.name.as_str()) {
                    Some(member) => {
                        let entry = member.entry().clone();
                        member.leave(Some(StreamSetup { entry, ..*setup }), deadline, reply);
                    }
                    None => {
                        state.admit(*setup);
                        // Whoever asked may be gone.
                        let _ = reply.send(());
                    }
                }
                state.tick(&myself).await;
            }
            SupervisorMessage::Disable {
                name,
                deadline,
                reply,
            } => {
                if let Some(member) = state.member(name.as_str()) {
                    member.disable(deadline, reply);
                }
            }
            SupervisorMessage::Remove {
                name,
                deadline,
                reply,
            } => {
                if let Some(member) = state.member(name.as_str()) {
                    member.leave(None, deadline, reply);
                }
                state.tick(&myself).await;
            }
            SupervisorMessage::StopAll { deadline, reply } => state.stop_all(deadline, reply),
        }
        Ok(())
    }

    /// A stream's actor has failed or ended. Its scout notices that nothing more can come and ends; the next tick sees that.
    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(actor, error) = event {
            let failed = |member: &&Member| {
                let group = member.group.as_ref();
                group.is_some_and(|group| group.actor.get_id() == actor.get_id())
            };
            if let Some(member) = state.members.iter().find(failed) {
                tracing::error!(stream = %member.name(), %error, "the stream's actor failed");
            }
        }
        Ok(())
    }
}

impl SupervisorState {
    fn member(&mut self, name: &str) -> Option<&mut Member> {
        self.members
            .iter_mut()
            .find(|member| member.name().as_str() == name)
    }

    /// Takes a stream in; the next tick starts it.
    fn admit(&mut self, setup: StreamSetup) {
        let generation = self.generations.remove(&setup.entry.name).unwrap_or_default();
        self.register.add(setup.entry.clone());
        self.members.push(Member::new(setup, generation, Instant::now()));
        self.shared.allowance.share_among(self.members.len());
    }

    async fn tick(&mut self, myself: &ActorRef<SupervisorMessage>) {
        let now = Instant::now();
        self.heartbeat.beat(now);
        let mut gone = Vec::new();
        for (place, member) in self.members.iter_mut().enumerate() {
            let look = member.look_after(
                now,
                &self.shared,
                myself,
                &mut self.random,
                self.stopping,
                &mut self.lingering,
            );
            if let Look::Gone(replies) = look.await {
                gone.push((place, replies));
            }
        }
        for (place, replies) in gone.into_iter().rev() {
            let member = self.members.remove(place);
            self.register.remove(member.name());
            self.generations
                .insert(member.name().clone(), member.generation());
            self.shared.allowance.share_among(self.members.len());
            tell(replies);
        }
        self.lingering.retain(|scout| !scout.thread.is_finished());
        // Five ticks are a second.
        if self.ticks.is_multiple_of(5) {
            for member in &self.members {
                member.ask_how_it_is();
            }
        }
        self.ticks += 1;
        // A stream that the config disables does not keep the others' run from ending. A run without any stream waits for one.
        let all_over = self.members.iter().any(|member| member.over)
            && self.members.iter().all(Member::is_over)
            && self.lingering.is_empty();
        self.all_over
            .send_if_modified(|known| std::mem::replace(known, all_over) != all_over);
    }

    fn stop_all(&mut self, deadline: Duration, reply: RpcReplyPort<()>) {
        self.stopping = true;
        let mut stops = Vec::new();
        for member in &mut self.members {
            match &member.group {
                Some(group) => stops.push(tokio::spawn(stop_actor(group.actor.clone(), deadline))),
                None => member.over = true,
            }
        }
        tokio::spawn(async move {
            for stop in stops {
                // Ends by itself, within the deadline.
                let _ = stop.await;
            }
            // Whoever asked may be gone.
            let _ = reply.send(());
        });
    }
}
