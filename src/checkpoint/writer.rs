use std::{io, thread};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::{CheckpointError, CheckpointFolder, Retention, Snapshot, Written};

/// A snapshot to write.
#[derive(Debug)]
pub struct WriteJob {
    /// What to write.
    pub snapshot: Snapshot,
    /// Who waits for it beside the trainer.
    pub replies: Vec<Sender<Result<Written, String>>>,
}

/// What became of a [`WriteJob`].
#[derive(Debug)]
pub struct WriteOutcome {
    /// Training steps behind the snapshot.
    pub step: u64,
    /// The snapshot, or why there is none.
    pub written: Result<Written, CheckpointError>,
    /// Steps of the snapshots deleted because newer ones suffice, or why that failed.
    pub pruned: Result<Vec<u64>, CheckpointError>,
}

/// Writes snapshots on a thread of its own, one at a time, in order.
#[derive(Debug)]
pub struct SnapshotWriter {
    jobs: Option<Sender<WriteJob>>,
    outcomes: Receiver<WriteOutcome>,
    thread: Option<thread::JoinHandle<()>>,
    under_way: usize,
}

impl SnapshotWriter {
    /// Starts the thread.
    pub fn start(folder: CheckpointFolder, retention: Retention) -> io::Result<Self> {
        let (jobs, to_write) = bounded::<WriteJob>(1);
        let (done, outcomes) = bounded(2);
        let work = move || {
            for job in to_write {
                let step = job.snapshot.step;
                let written = folder.write(&job.snapshot);
                drop(job.snapshot);
                let pruned = match written {
                    Ok(_) => folder.prune(retention),
                    Err(_) => Ok(Vec::new()),
                };
                for reply in job.replies {
                    // Whoever asked may be gone; the trainer is told as well.
                    let _ = reply.send(written.as_ref().map(Written::clone).map_err(ToString::to_string));
                }
                let outcome = WriteOutcome {
                    step,
                    written,
                    pruned,
                };
                if done.send(outcome).is_err() {
                    break;
                }
            }
        };
        Ok(Self {
            jobs: Some(jobs),
            outcomes,
            thread: Some(thread::Builder::new().name("checkpoint".into()).spawn(work)?),
            under_way: 0,
        })
    }

    /// A snapshot is being written.
    pub fn busy(&self) -> bool {
        self.under_way > 0
    }

    /// Hands a snapshot over; gives it back where one is still being written.
    #[expect(clippy::result_large_err, reason = "the job is given back, not described")]
    pub fn try_write(&mut self, job: WriteJob) -> Result<(), WriteJob> {
        let Some(jobs) = self.jobs.as_ref().filter(|_| self.under_way == 0) else {
            return Err(job);
        };
        match jobs.try_send(job) {
            Ok(()) => {
                self.under_way += 1;
                Ok(())
            }
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => Err(job),
        }
    }

    /// What was finished since the last call. Does not wait.
    pub fn poll(&mut self) -> Option<WriteOutcome> {
        let outcome = self.outcomes.try_recv().ok()?;
        self.under_way -= 1;
        Some(outcome)
    }

    /// Waits for what is under way.
    pub fn wait(&mut self) -> Option<Result<WriteOutcome, CheckpointError>> {
        if self.under_way == 0 {
            return None;
        }
        self.under_way -= 1;
        Some(self.outcomes.recv().map_err(|_| CheckpointError::WriterStopped))
    }
}

impl Drop for SnapshotWriter {
    /// Lets the snapshot under way come to its end.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the snapshot writer panicked");
        }
    }
}
