use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent, rpc::CallResult};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use super::stream_group::{SharedParts, StreamGroup, StreamSetup};
use crate::ingest::{StreamMessage, StreamReport, StreamState};
use crate::telemetry::Heartbeat;
use crate::window::ScoutEnd;

/// How often the supervisor looks after its streams.
const TICK: Duration = Duration::from_millis(200);

/// How long a stream's actor may take to say how it is.
const STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// The wait before a group that failed is started again: doubled with each failure in a row.
const RESTART_FIRST: Duration = Duration::from_secs(1);
const RESTART_LONGEST: Duration = Duration::from_secs(60);

/// A group that has run so long without failing starts with the first wait again.
const STABLE: Duration = Duration::from_secs(120);

/// Keeps a group for every stream: starts them, starts again what failed, says when all are over.
pub(super) struct Supervisor;

/// What the supervisor is made of.
pub(super) struct SupervisorParts {
    pub shared: Arc<SharedParts>,
    pub streams: Vec<StreamSetup>,
    pub heartbeat: Heartbeat,
    /// Becomes true when every stream is over and all of its windows have become samples or failed.
    pub all_over: watch::Sender<bool>,
}

#[derive(Debug)]
pub(super) enum SupervisorMessage {
    /// A stream changed its state.
    Report(StreamReport),
    /// Time to look after the streams.
    Tick,
    /// Stop all streams; the reply comes when no further access unit will, or after the deadline.
    StopAll {
        deadline: Duration,
        reply: RpcReplyPort<()>,
    },
}

pub(super) struct SupervisorState {
    parts: SupervisorParts,
    streams: Vec<Slot>,
    random: ChaCha8Rng,
    ticks: u64,
    stopping: bool,
}

/// The place of one stream's group.
struct Slot {
    group: Option<StreamGroup>,
    generation: u64,
    started: Instant,
    failures_in_a_row: u32,
    restart_at: Option<Instant>,
    over: bool,
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
        let random = ChaCha8Rng::seed_from_u64(parts.shared.seed);
        let mut streams = Vec::with_capacity(parts.streams.len());
        for setup in &parts.streams {
            let over = setup.is_over(&parts.shared);
            let group = match over {
                true => {
                    setup
                        .entry
                        .reported(over_before(setup, (parts.shared.wall_clock)()));
                    None
                }
                false => Some(setup.start(&parts.shared, &myself, 0).await?),
            };
            streams.push(Slot {
                group,
                generation: 0,
                started: Instant::now(),
                failures_in_a_row: 0,
                restart_at: None,
                over,
            });
        }
        // Ends with the actor.
        let _ticks = myself.send_interval(TICK, || SupervisorMessage::Tick);
        Ok(SupervisorState {
            parts,
            streams,
            random,
            ticks: 0,
            stopping: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::Report(report) => {
                if let Some(setup) = state
                    .parts
                    .streams
                    .iter()
                    .find(|setup| setup.entry.name.as_str() == report.stream)
                {
                    setup.entry.reported(report);
                }
            }
            SupervisorMessage::Tick => state.tick(&myself).await,
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
            let failed = |slot: &Slot| {
                slot.group
                    .as_ref()
                    .is_some_and(|group| group.actor.get_id() == actor.get_id())
            };
            if let Some(place) = state.streams.iter().position(failed) {
                let stream = &state.parts.streams[place].entry.name;
                tracing::error!(%stream, %error, "the stream's actor failed");
            }
        }
        Ok(())
    }
}

impl SupervisorState {
    async fn tick(&mut self, myself: &ActorRef<SupervisorMessage>) {
        let now = Instant::now();
        self.parts.heartbeat.beat(now);
        for place in 0..self.streams.len() {
            self.look_after(place, now, myself).await;
        }
        // Five ticks are a second.
        if self.ticks.is_multiple_of(5) {
            self.ask_how_they_are();
        }
        self.ticks += 1;
        // A stream that the config disables must not keep the others' run from ending.
        let is_over = |(slot, setup): (&Slot, &StreamSetup)| slot.over || setup.entry.is_disabled();
        let all_over = self.streams.iter().zip(&self.parts.streams).all(is_over);
        self.parts
            .all_over
            .send_if_modified(|known| std::mem::replace(known, all_over) != all_over);
    }

    async fn look_after(&mut self, place: usize, now: Instant, myself: &ActorRef<SupervisorMessage>) {
        let setup = &self.parts.streams[place];
        let slot = &mut self.streams[place];
        let stream = &setup.entry.name;
        if slot
            .group
            .as_ref()
            .is_some_and(|group| group.scout.thread.is_finished())
            && let Some(group) = slot.group.take()
        {
            let end = match group.scout.thread.join() {
                Ok(end) => end,
                Err(_) => ScoutEnd::Panicked("outside of its own care".to_owned()),
            };
            group.actor.stop(None);
            if end == ScoutEnd::Ended || self.stopping {
                slot.over = true;
                return;
            }
            if now.duration_since(slot.started) >= STABLE {
                slot.failures_in_a_row = 0;
            }
            let wait = restart_wait(slot.failures_in_a_row, &mut self.random);
            slot.failures_in_a_row = slot.failures_in_a_row.saturating_add(1);
            slot.restart_at = Some(now + wait);
            setup.entry.group_failed();
            tracing::error!(%stream, ?end, ?wait, "the stream's group failed; it will be started again");
        }
        if slot.restart_at.is_some_and(|at| at <= now) && !self.stopping {
            slot.restart_at = None;
            slot.generation += 1;
            slot.started = now;
            match setup.start(&self.parts.shared, myself, slot.generation).await {
                Ok(group) => slot.group = Some(group),
                Err(error) => {
                    let wait = restart_wait(slot.failures_in_a_row, &mut self.random);
                    slot.failures_in_a_row = slot.failures_in_a_row.saturating_add(1);
                    slot.restart_at = Some(now + wait);
                    tracing::error!(%stream, %error, ?wait, "the stream's group did not start");
                }
            }
        }
    }

    /// Puts every stream's latest figures on the board, without waiting for them here.
    fn ask_how_they_are(&self) {
        for (slot, setup) in self.streams.iter().zip(&self.parts.streams) {
            let Some(group) = &slot.group else { continue };
            let (actor, entry) = (group.actor.clone(), setup.entry.clone());
            tokio::spawn(async move {
                let asked = actor.call(StreamMessage::Status, Some(STATUS_PATIENCE)).await;
                if let Ok(CallResult::Success(status)) = asked {
                    entry.told(*status);
                }
            });
        }
    }

    fn stop_all(&mut self, deadline: Duration, reply: RpcReplyPort<()>) {
        self.stopping = true;
        let actors: Vec<_> = self
            .streams
            .iter()
            .filter_map(|slot| slot.group.as_ref())
            .map(|group| group.actor.clone())
            .collect();
        for slot in &mut self.streams {
            slot.restart_at = None;
            slot.over |= slot.group.is_none();
        }
        tokio::spawn(async move {
            let stops: Vec<_> = actors
                .iter()
                .cloned()
                .map(|actor| {
                    tokio::spawn(async move {
                        let stop = |reply| StreamMessage::Stop { deadline, reply };
                        // A stream that does not answer is stopped all the same, below.
                        let _ = actor.call(stop, Some(deadline + STATUS_PATIENCE)).await;
                        actor.stop(None);
                    })
                })
                .collect();
            for stop in stops {
                // Ends by itself, within the deadline.
                let _ = stop.await;
            }
            // Whoever asked may be gone.
            let _ = reply.send(());
        });
    }
}

/// The state of a stream that has nothing more to give.
fn over_before(setup: &StreamSetup, now_unix_ns: u64) -> StreamReport {
    let reason = "its source was over before this run, which goes on from a checkpoint";
    tracing::info!(stream = %setup.entry.name, reason);
    StreamReport {
        stream: setup.entry.name.to_string(),
        state: StreamState::Ended,
        reason: reason.to_owned(),
        failed: false,
        since_unix_ns: now_unix_ns,
    }
}

/// Exponential, between half and all of it by chance, so that groups that failed together do not start together.
fn restart_wait(failures_in_a_row: u32, random: &mut ChaCha8Rng) -> Duration {
    let whole = RESTART_FIRST
        .saturating_mul(1 << failures_in_a_row.min(16))
        .min(RESTART_LONGEST);
    whole.mul_f64(random.random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_failures_and_stay_bounded() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for failures in 0..40 {
            let whole = RESTART_LONGEST.min(RESTART_FIRST * (1 << failures.min(10)));
            let wait = restart_wait(failures, &mut random);
            assert!(
                wait <= whole && wait >= whole / 2,
                "{failures} failures: {wait:?}"
            );
        }
    }
}
