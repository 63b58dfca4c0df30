use std::{io, thread};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::{CheckpointError, CheckpointFolder, Forgot, Retention, Snapshot, Written};
use crate::ingest::StreamName;

/// How much nicer the thread is than the program: hashing and writing gigabytes of replay should not take the trainer's cores. Beside
/// a trainer that never rests it gets a quarter of one.
const NICER: i32 = 5;

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

/// A stream to forget.
#[derive(Debug)]
pub struct ForgetJob {
    /// Its name.
    pub stream: StreamName,
    /// When it was asked for, seconds since the Unix epoch.
    pub at_unix: u64,
    /// Who waits for it.
    pub reply: Sender<Result<Forgot, String>>,
}

#[derive(Debug)]
enum Job {
    Write(Box<WriteJob>),
    Forget(ForgetJob),
}

/// Writes snapshots on a thread of its own, one at a time, in order.
#[derive(Debug)]
pub struct SnapshotWriter {
    jobs: Option<Sender<Job>>,
    /// None of a job that wrote no snapshot.
    outcomes: Receiver<Option<WriteOutcome>>,
    thread: Option<thread::JoinHandle<()>>,
    under_way: usize,
}

impl SnapshotWriter {
    /// Starts the thread.
    pub fn start(folder: CheckpointFolder, retention: Retention) -> io::Result<Self> {
        let (jobs, to_write) = bounded::<Job>(1);
        let (done, outcomes) = bounded(2);
        let work = move || {
            if let Err(error) = rustix::process::nice(NICER) {
                tracing::warn!(%error, "the checkpoint's thread keeps its priority: a large snapshot may slow training down");
            }
            for job in to_write {
                let job = match job {
                    Job::Write(job) => job,
                    Job::Forget(job) => {
                        let forgot = folder.forget(job.stream.as_str(), job.at_unix);
                        // Whoever asked may be gone; the log has it.
                        match &forgot {
                            Ok(forgot) => tracing::info!(
                                stream = %job.stream,
                                samples = forgot.samples,
                                marked = ?forgot.marked,
                                "a stream is forgotten in the checkpoints"
                            ),
                            Err(error) => {
                                tracing::error!(stream = %job.stream, %error, "a stream could not be forgotten");
                            }
                        }
                        let _ = job.reply.send(forgot.map_err(|error| error.to_string()));
                        if done.send(None).is_err() {
                            break;
                        }
                        continue;
                    }
                };
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
                if done.send(Some(outcome)).is_err() {
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
        match jobs.try_send(Job::Write(Box::new(job))) {
            Ok(()) => {
                self.under_way += 1;
                Ok(())
            }
            Err(TrySendError::Full(Job::Write(job)) | TrySendError::Disconnected(Job::Write(job))) => {
                Err(*job)
            }
            Err(_) => Ok(()),
        }
    }

    /// Forgets a stream after what is under way.
    pub fn forget(&mut self, job: ForgetJob) {
        // A writer that is gone drops the job, and whoever waits for its answer sees that.
        if let Some(jobs) = &self.jobs
            && jobs.send(Job::Forget(job)).is_ok()
        {
            self.under_way += 1;
        }
    }

    /// What was finished since the last call. Does not wait.
    pub fn poll(&mut self) -> Option<WriteOutcome> {
        let outcome = self.outcomes.try_recv().ok()?;
        self.under_way -= 1;
        outcome
    }

    /// Waits for what is under way: the snapshot, if it is one.
    pub fn wait(&mut self) -> Option<Result<WriteOutcome, CheckpointError>> {
        if self.under_way == 0 {
            return None;
        }
        self.under_way -= 1;
        let outcome = self.outcomes.recv().map_err(|_| CheckpointError::WriterStopped);
        outcome.transpose()
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
