use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ractor::{ActorRef, RpcReplyPort, rpc::CallResult};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::entry::{About, StreamEntry};
use super::stream_group::{SharedParts, StreamGroup, StreamSetup};
use super::supervisor::SupervisorMessage;
use crate::ingest::{StreamMessage, StreamName, StreamReport, StreamState};
use crate::window::{ScoutEnd, ScoutHandle};

/// How long a stream's actor may take to say how it is.
pub(super) const STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// The wait before a group that failed is started again: doubled with each failure in a row.
const RESTART_FIRST: Duration = Duration::from_secs(1);
const RESTART_LONGEST: Duration = Duration::from_secs(60);

/// A group that has run so long without failing starts with the first wait again.
const STABLE: Duration = Duration::from_secs(120);

/// The place of one stream: its entry, and its group while there is one.
pub(super) struct Member {
    pub setup: StreamSetup,
    pub group: Option<StreamGroup>,
    generation: u64,
    started: Instant,
    failures_in_a_row: u32,
    restart_at: Option<Instant>,
    /// Its source is over, or the run is stopping.
    pub over: bool,
    /// Told to stop over the API: it may be told to start again, so that the run must not end without it.
    pub told_to_stop: bool,
    pub leaving: Option<Leaving>,
}

/// A stream whose group is being stopped to be taken out, or for another one.
pub(super) struct Leaving {
    pub then: Option<StreamSetup>,
    pub replies: Vec<RpcReplyPort<()>>,
}

/// Tells everybody who waits that it is done.
pub(super) fn tell(replies: Vec<RpcReplyPort<()>>) {
    for reply in replies {
        // Whoever asked may be gone.
        let _ = reply.send(());
    }
}

/// What looking after a stream led to.
pub(super) enum Look {
    Nothing,
    /// It is out; its scout may still wait for its last windows. Whoever asked is told when it stands nowhere any more.
    Gone(Vec<RpcReplyPort<()>>),
}

impl Member {
    /// `generation`: how many groups a stream of this name has had.
    pub fn new(setup: StreamSetup, generation: u64, now: Instant) -> Self {
        Self {
            setup,
            group: None,
            generation,
            started: now,
            failures_in_a_row: 0,
            restart_at: Some(now),
            over: false,
            told_to_stop: false,
            leaving: None,
        }
    }

    /// A stream whose source the run that this one goes on from has read to its end has nothing more to give.
    pub fn end_if_over_before(&mut self, shared: &SharedParts) {
        if !self.setup.config.enabled || !self.setup.is_over(shared) {
            return;
        }
        let reason = "its source was over before this run, which goes on from a checkpoint";
        tracing::info!(stream = %self.name(), reason);
        self.entry().reported(StreamReport {
            stream: self.name().to_string(),
            state: StreamState::Ended,
            reason: reason.to_owned(),
            failed: false,
            since_unix_ns: (shared.wall_clock)(),
        });
        (self.over, self.restart_at) = (true, None);
    }

    pub fn name(&self) -> &StreamName {
        &self.setup.entry.name
    }

    pub fn entry(&self) -> &Arc<StreamEntry> {
        &self.setup.entry
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the run need not wait for it.
    pub fn is_over(&self) -> bool {
        self.over || !self.setup.config.enabled && !self.told_to_stop
    }

    /// Starts the group when it is time, and takes care of one that has ended. Scouts that may still wait for their last
    /// windows go to `lingering`.
    pub async fn look_after(
        &mut self,
        now: Instant,
        shared: &SharedParts,
        supervisor: &ActorRef<SupervisorMessage>,
        random: &mut ChaCha8Rng,
        stopping: bool,
        lingering: &mut Vec<ScoutHandle>,
    ) -> Look {
        // The actor ends when the group was told to; what its scout still holds is no reason to wait.
        let actor_ended = |group: &StreamGroup| group.actor.get_status() == ractor::ActorStatus::Stopped;
        if self.leaving.is_some() && self.group.as_ref().is_none_or(actor_ended) {
            if let Some(group) = self.group.take() {
                group.scout.hurry.store(true, Ordering::Relaxed);
                lingering.push(group.scout);
            }
            self.setup.entry.group_ended();
            let Some(leaving) = self.leaving.take() else {
                return Look::Nothing;
            };
            let Some(setup) = leaving.then else {
                return Look::Gone(leaving.replies);
            };
            self.become_another(setup, now);
            tell(leaving.replies);
        }
        self.take_care_of_its_end(now, random, stopping);
        if self.restart_at.is_some_and(|at| at <= now) && !stopping {
            self.restart_at = None;
            self.started = now;
            let started = self.setup.start(shared, supervisor, self.generation).await;
            self.generation += 1;
            match started {
                Ok(group) => self.group = Some(group),
                Err(error) => {
                    let wait = self.wait_after_failure(now, random);
                    tracing::error!(stream = %self.name(), %error, ?wait, "the stream's group did not start");
                }
            }
        }
        Look::Nothing
    }

    fn take_care_of_its_end(&mut self, now: Instant, random: &mut ChaCha8Rng, stopping: bool) {
        let ended = |group: &mut StreamGroup| group.scout.thread.is_finished();
        let Some(group) = self.group.take_if(ended) else {
            return;
        };
        let end = match group.scout.thread.join() {
            Ok(end) => end,
            Err(_) => ScoutEnd::Panicked("outside of its own care".to_owned()),
        };
        group.actor.stop(None);
        self.setup.entry.group_ended();
        if end == ScoutEnd::Ended || stopping {
            self.over = true;
            return;
        }
        if now.duration_since(self.started) >= STABLE {
            self.failures_in_a_row = 0;
        }
        let wait = self.wait_after_failure(now, random);
        self.setup.entry.group_failed();
        tracing::error!(stream = %self.name(), ?end, ?wait, "the stream's group failed; it will be started again");
    }

    fn wait_after_failure(&mut self, now: Instant, random: &mut ChaCha8Rng) -> Duration {
        let wait = restart_wait(self.failures_in_a_row, random);
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.restart_at = Some(now + wait);
        wait
    }

    /// Its entry has changed, and no group is left.
    fn become_another(&mut self, setup: StreamSetup, now: Instant) {
        self.setup.entry.change(About {
            source: setup.source.to_string(),
            origin: setup.config.origin.clone(),
            enabled: setup.config.enabled,
        });
        self.setup = setup;
        (self.failures_in_a_row, self.over, self.told_to_stop) = (0, false, false);
        self.restart_at = Some(now);
    }

    /// Stops the group, in order to take the stream out, or for another one in its place.
    pub fn leave(&mut self, then: Option<StreamSetup>, deadline: Duration, reply: RpcReplyPort<()>) {
        self.restart_at = None;
        match &mut self.leaving {
            Some(leaving) => {
                leaving.then = then;
                leaving.replies.push(reply);
            }
            None => {
                self.leaving = Some(Leaving {
                    then,
                    replies: vec![reply],
                });
                if let Some(group) = &self.group {
                    // What waits for replay waits in vain: its windows are let go.
                    group.scout.hurry.store(true, Ordering::Relaxed);
                    tokio::spawn(stop_actor(group.actor.clone(), deadline));
                }
            }
        }
    }

    /// Tells the source to stop; the stream stays, and can be started again.
    pub fn disable(&mut self, deadline: Duration, reply: RpcReplyPort<()>) {
        self.setup.config.enabled = false;
        self.told_to_stop = true;
        self.restart_at = None;
        let mut about = self.setup.entry.about();
        about.enabled = false;
        self.setup.entry.change(about);
        let actor = self.group.as_ref().map(|group| group.actor.clone());
        tokio::spawn(async move {
            if let Some(actor) = actor {
                let stop = |reply| StreamMessage::Stop { deadline, reply };
                // A stream that does not answer is told by its heartbeat.
                let _ = actor.call(stop, Some(deadline + STATUS_PATIENCE)).await;
            }
            // Whoever asked may be gone.
            let _ = reply.send(());
        });
    }

    /// Puts the latest figures on the board, without waiting for them here.
    pub fn ask_how_it_is(&self) {
        let Some(group) = &self.group else { return };
        let (actor, entry) = (group.actor.clone(), self.setup.entry.clone());
        tokio::spawn(async move {
            let asked = actor.call(StreamMessage::Status, Some(STATUS_PATIENCE)).await;
            if let Ok(CallResult::Success(status)) = asked {
                entry.told(*status, Instant::now());
            }
        });
    }
}

/// Stops a stream's actor: its source first, within the deadline.
pub(super) async fn stop_actor(actor: ActorRef<StreamMessage>, deadline: Duration) {
    let stop = |reply| StreamMessage::Stop { deadline, reply };
    // A stream that does not answer is stopped all the same.
    let _ = actor.call(stop, Some(deadline + STATUS_PATIENCE)).await;
    actor.stop(None);
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
    use rand::SeedableRng;

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
