use std::time::Instant;

use crossbeam_channel::Sender;

use super::TrainError;
use super::handle::TrainEvent;
use crate::checkpoint::{
    CheckpointConfig, CheckpointError, ForgetJob, SnapshotWriter, WriteOutcome, Written,
};

/// Whoever asked for a snapshot is told what became of it.
pub(super) type Reply = Sender<Result<Written, String>>;

/// How often the run went back to a snapshot.
#[derive(Default)]
pub(super) struct Rollbacks {
    pub done: u32,
    /// Since a snapshot was written last: each goes one further back.
    pub in_a_row: usize,
}

/// The state of writing snapshots.
pub(super) struct Snapshots {
    pub config: CheckpointConfig,
    pub writer: SnapshotWriter,
    /// Who waits for the next one.
    pub asked: Vec<Reply>,
    /// Streams to be forgotten, when the writer is free.
    pub to_forget: Vec<ForgetJob>,
    /// When and where the schedule was last met, successfully or not.
    pub tried_at: Instant,
    pub tried_step: u64,
    pub written: Option<Written>,
    pub failed: u64,
}

impl Snapshots {
    /// Counts and tells what became of a snapshot; gives the error back where it could not be written.
    pub fn settle(
        &mut self,
        outcome: WriteOutcome,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Option<CheckpointError> {
        if let Err(error) = outcome.pruned {
            let reason = error.to_string();
            on_event(TrainEvent::PruneFailed { reason });
        }
        match outcome.written {
            Ok(written) => {
                self.written = Some(written.clone());
                if let Some(reason) = written.replay_failed.clone() {
                    let step = written.step;
                    on_event(TrainEvent::ReplayNotSaved { step, reason });
                }
                on_event(TrainEvent::SnapshotWritten(written));
                None
            }
            Err(error) => {
                self.failed += 1;
                on_event(TrainEvent::SnapshotFailed {
                    step: outcome.step,
                    reason: error.to_string(),
                });
                Some(error)
            }
        }
    }

    /// As [`Self::finish`], of the last snapshot, whose failure is the run's. The newest one from before it stands.
    pub fn last(&mut self, on_event: &mut dyn FnMut(TrainEvent), first_step: u64) -> Result<(), TrainError> {
        match self.finish(on_event)? {
            None => Ok(()),
            Some(source) => Err(TrainError::LastSnapshot {
                source,
                standing: self
                    .written
                    .as_ref()
                    .map(|written| written.step)
                    .or((first_step > 0).then_some(first_step)),
            }),
        }
    }

    /// Lets the writer forget a stream, if it is free.
    pub fn begin_to_forget(&mut self) {
        if !self.writer.busy()
            && let Some(job) = self.to_forget.pop()
        {
            self.writer.forget(job);
        }
    }

    /// Waits for the snapshot under way, if there is one, and has the streams forgotten that are to be.
    pub fn finish(
        &mut self,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<Option<CheckpointError>, CheckpointError> {
        let failed = match self.writer.wait() {
            Some(outcome) => self.settle(outcome?, on_event),
            None => None,
        };
        while !self.to_forget.is_empty() {
            self.begin_to_forget();
            // It tells whoever asked; there is no snapshot to settle.
            let _ = self.writer.wait();
        }
        Ok(failed)
    }
}
