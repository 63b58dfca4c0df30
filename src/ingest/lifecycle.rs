use std::{collections::BTreeMap, time::Duration};

use rand::Rng;

use super::{IngestError, RestartReason, SegmentEndReason, StreamState, backoff::Backoff};

/// What a source's failure leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// It may come back: wait, then open it again.
    BackOff,
    /// The file is skipped.
    NextFile,
    /// The stream is over.
    End,
}

/// What the end of a source's stream means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnEnd {
    /// A failure: live sources do not end.
    Failure,
    /// The next file, or the source once more.
    Next,
    /// The stream is over.
    End,
}

/// How a stream behaves; follows from its source and config.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    /// The source, for messages; without credentials.
    pub place: String,
    pub on_failure: OnFailure,
    pub on_end: OnEnd,
    /// An endless stream goes on after a pass in which no file could be read; another one ends.
    pub endless: bool,
    /// Nothing after the start for so long is a failure.
    pub open_timeout: Duration,
    /// Silence for so long is a stall; none: never (a file comes as fast as it is taken).
    pub stall_timeout: Option<Duration>,
}

/// What happens to a stream.
#[derive(Debug)]
pub(super) enum Happening {
    /// It is told to start.
    Start,
    /// It is told to stop.
    Stop,
    /// The pipeline was built and started.
    Opened,
    /// The playlist has no further file.
    NoMoreFiles,
    FirstUnit,
    FirstKeyUnit,
    /// The source ended its stream.
    EndOfSource,
    /// The source failed, before or after it was opened.
    Failed(IngestError),
    /// Time passes: access units so far, and whether one waits for comove.
    Tick {
        units: u64,
        waiting: bool,
    },
    /// The pipeline is down, or was left behind. Says whether this was the last file of a pass.
    Closed {
        pass_over: bool,
    },
    /// The back-off's wait is over.
    WaitOver,
}

/// What the actor must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    /// Open the source, or the next file of the playlist.
    Open,
    /// Close the pipeline, and end the segment for this reason.
    Close(SegmentEndReason),
    /// Say `WaitOver` after so long.
    Wait(Duration),
    /// Everything is down, as was asked.
    Stopped,
    /// Nothing will ever come again.
    Finish,
}

/// What to do once the pipeline is down.
#[derive(Debug)]
enum Then {
    Disable,
    Fail(IngestError, RestartReason),
    Next,
    End,
}

#[derive(Debug)]
enum Phase {
    /// No pipeline, none wanted.
    Idle,
    /// A pipeline is being built, or is there.
    Open,
    Closing(Then),
    /// Backing off, after a failure of this kind.
    Waiting(RestartReason),
}

/// The states of a stream, as a pure function of what happens. Time is told as the time since some fixed moment.
#[derive(Debug)]
pub(super) struct Lifecycle {
    manner: Manner,
    state: StreamState,
    reason: String,
    failed: bool,
    phase: Phase,
    backoff: Backoff,
    entered: Duration,
    /// When a unit last came, and how many there were.
    alive: (Duration, u64),
    /// A unit came in this pass over the files.
    fruitful: bool,
    restarts: BTreeMap<RestartReason, u64>,
    failed_files: u64,
    last_failure: Option<String>,
}

/// A stream that ran so long without failure starts its back-off anew.
const CALM: Duration = Duration::from_secs(30);

impl Lifecycle {
    pub fn new(manner: Manner, backoff: Backoff) -> Self {
        Self {
            manner,
            state: StreamState::Disabled,
            reason: "not started yet".to_owned(),
            failed: false,
            phase: Phase::Idle,
            backoff,
            entered: Duration::ZERO,
            alive: (Duration::ZERO, 0),
            fruitful: false,
            restarts: BTreeMap::new(),
            failed_files: 0,
            last_failure: None,
        }
    }

    pub fn state(&self) -> StreamState {
        self.state
    }

    /// Why it is in this state, in words.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether a failure led to this state.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Times that a failed source was opened again, by the failure.
    pub fn restarts(&self) -> &BTreeMap<RestartReason, u64> {
        &self.restarts
    }

    /// Files that could not be read, or not to their end.
    pub fn failed_files(&self) -> u64 {
        self.failed_files
    }

    pub fn on(&mut self, happening: Happening, now: Duration, random: &mut impl Rng) -> Action {
        match happening {
            Happening::Start => self.start(now),
            Happening::Stop => self.stop(now),
            Happening::Opened => Action::Nothing,
            Happening::NoMoreFiles if matches!(self.phase, Phase::Open) => self.no_more_files(now),
            Happening::FirstUnit => self.first_unit(now),
            Happening::FirstKeyUnit => self.first_key_unit(now),
            Happening::EndOfSource => self.end_of_source(now),
            Happening::Failed(error) => self.fail(error),
            Happening::Tick { units, waiting } => self.tick(units, waiting, now),
            Happening::Closed { pass_over } => self.closed(pass_over, now, random),
            Happening::WaitOver => {
                let Phase::Waiting(reason) = self.phase else {
                    return Action::Nothing;
                };
                *self.restarts.entry(reason).or_default() += 1;
                self.open("opening the source again", now)
            }
            Happening::NoMoreFiles => Action::Nothing,
        }
    }

    fn enter(&mut self, state: StreamState, reason: impl Into<String>, failed: bool, now: Duration) {
        self.state = state;
        self.reason = reason.into();
        self.failed = failed;
        self.entered = now;
    }

    fn open(&mut self, reason: &str, now: Duration) -> Action {
        self.phase = Phase::Open;
        self.alive.0 = now;
        self.enter(StreamState::Starting, reason, false, now);
        Action::Open
    }

    fn start(&mut self, now: Duration) -> Action {
        match (&mut self.phase, self.state) {
            (Phase::Idle, StreamState::Disabled) => self.open("opening the source", now),
            // Told to start while it still stops.
            (Phase::Closing(then @ Then::Disable), _) => {
                *then = Then::Next;
                Action::Nothing
            }
            _ => Action::Nothing,
        }
    }

    fn stop(&mut self, now: Duration) -> Action {
        let stopped = "told to stop";
        match &mut self.phase {
            Phase::Open => {
                self.phase = Phase::Closing(Then::Disable);
                Action::Close(SegmentEndReason::Stopped)
            }
            Phase::Closing(then) => {
                *then = Then::Disable;
                Action::Nothing
            }
            Phase::Waiting(_) | Phase::Idle => {
                self.phase = Phase::Idle;
                if self.state != StreamState::Ended {
                    self.enter(StreamState::Disabled, stopped, false, now);
                }
                Action::Stopped
            }
        }
    }

    fn no_more_files(&mut self, now: Duration) -> Action {
        match self.last_failure.take().filter(|_| !self.fruitful) {
            Some(failure) => self.finish(failure, true, now),
            None => match self.failed_files {
                0 => self.finish("all files are read".to_owned(), false, now),
                failed => self.finish(
                    format!("all files are read, except {failed} that failed"),
                    false,
                    now,
                ),
            },
        }
    }

    fn finish(&mut self, reason: String, failed: bool, now: Duration) -> Action {
        self.phase = Phase::Idle;
        self.enter(StreamState::Ended, reason, failed, now);
        Action::Finish
    }

    fn first_unit(&mut self, now: Duration) -> Action {
        if matches!(self.phase, Phase::Open) && self.state == StreamState::Starting {
            self.fruitful = true;
            self.alive.0 = now;
            self.enter(StreamState::WaitingForKeyFrame, "video comes", false, now);
        }
        Action::Nothing
    }

    fn first_key_unit(&mut self, now: Duration) -> Action {
        let expected = matches!(
            self.state,
            StreamState::Starting | StreamState::WaitingForKeyFrame
        );
        if matches!(self.phase, Phase::Open) && expected {
            self.fruitful = true;
            self.alive.0 = now;
            self.enter(StreamState::Running, "key frames come", false, now);
        }
        Action::Nothing
    }

    fn end_of_source(&mut self, now: Duration) -> Action {
        if !matches!(self.phase, Phase::Open) {
            return Action::Nothing;
        }
        let then = match self.manner.on_end {
            OnEnd::Failure => {
                let place = self.manner.place.clone();
                return self.fail(IngestError::LiveEnded { place });
            }
            OnEnd::Next => Then::Next,
            OnEnd::End => Then::End,
        };
        if now.saturating_sub(self.entered) >= CALM {
            self.backoff.reset();
        }
        self.phase = Phase::Closing(then);
        Action::Close(SegmentEndReason::EndOfSource)
    }

    fn fail(&mut self, error: IngestError) -> Action {
        if !matches!(self.phase, Phase::Open) {
            return Action::Nothing;
        }
        let reason = SegmentEndReason::Interrupted(error.to_string());
        let kind = RestartReason::of(&error, self.state);
        self.phase = Phase::Closing(Then::Fail(error, kind));
        Action::Close(reason)
    }

    fn tick(&mut self, units: u64, waiting: bool, now: Duration) -> Action {
        if units != self.alive.1 || waiting {
            self.alive = (now, units);
        }
        if !matches!(self.phase, Phase::Open) {
            return Action::Nothing;
        }
        let limit = match self.state {
            StreamState::Starting => Some(self.manner.open_timeout),
            StreamState::WaitingForKeyFrame | StreamState::Running => self.manner.stall_timeout,
            _ => None,
        };
        let silence = now.saturating_sub(self.alive.0);
        let Some(waited) = limit.filter(|limit| silence >= *limit) else {
            return Action::Nothing;
        };
        let was_running = self.state == StreamState::Running && now.saturating_sub(self.entered) >= CALM;
        if was_running {
            self.backoff.reset();
        }
        let place = self.manner.place.clone();
        let error = IngestError::Silent { place, waited };
        let text = error.to_string();
        let action = self.fail(error);
        self.enter(StreamState::Stalled, text, true, now);
        action
    }

    fn closed(&mut self, pass_over: bool, now: Duration, random: &mut impl Rng) -> Action {
        let Phase::Closing(then) = std::mem::replace(&mut self.phase, Phase::Idle) else {
            return Action::Nothing;
        };
        match then {
            Then::Disable => {
                self.enter(StreamState::Disabled, "told to stop", false, now);
                Action::Stopped
            }
            Then::End => self.finish("the source is over".to_owned(), false, now),
            Then::Next => {
                self.fruitful &= !pass_over || !self.manner.endless;
                self.open("opening the next file", now)
            }
            Then::Fail(error, kind) => self.after_failure(error, kind, pass_over, now, random),
        }
    }

    fn after_failure(
        &mut self,
        error: IngestError,
        kind: RestartReason,
        pass_over: bool,
        now: Duration,
        random: &mut impl Rng,
    ) -> Action {
        let text = error.to_string();
        if self.state == StreamState::Running && now.saturating_sub(self.entered) >= CALM {
            self.backoff.reset();
        }
        match self.manner.on_failure {
            OnFailure::End => self.finish(text, true, now),
            OnFailure::BackOff => self.back_off(text, kind, now, random),
            OnFailure::NextFile => {
                self.failed_files += 1;
                self.last_failure = Some(text.clone());
                let barren = pass_over && !self.fruitful;
                if barren && self.manner.endless {
                    return self.back_off(
                        format!("no file could be read; the last error: {text}"),
                        kind,
                        now,
                        random,
                    );
                }
                self.fruitful &= !pass_over || !self.manner.endless;
                self.open("the last file failed; opening the next", now)
            }
        }
    }

    fn back_off(
        &mut self,
        failure: String,
        kind: RestartReason,
        now: Duration,
        random: &mut impl Rng,
    ) -> Action {
        let wait = self.backoff.after_failure(random);
        self.phase = Phase::Waiting(kind);
        let reason = format!("{failure}; again in {:.1} s", wait.as_secs_f64());
        self.enter(StreamState::BackingOff, reason, true, now);
        Action::Wait(wait)
    }
}

#[cfg(test)]
mod tests;
