use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

use super::{
    DecodeConfig, DecodeError, DecodeJob, DecoderKind, RgbPicture, decoder::Decoded, decoder::Decoder,
};

/// What becomes of a job: pictures in the order wanted, or why not. Called exactly once, on a pool thread, or on the thread
/// that lets go of the job when the pool is closed. It must not block for long: the decoder waits for it.
pub type DecodeReply = Box<dyn FnOnce(Result<Vec<RgbPicture>, DecodeError>) + Send>;

/// Upper bounds of [`DecodeSnapshot::jobs_by_seconds`]: a few small pictures on a fast machine to long GOPs on a slow one.
pub const JOB_SECONDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// How often an idle thread looks whether the pool was closed.
const IDLE_POLL: Duration = Duration::from_millis(100);

/// A few decoders, each on its own thread, that share two bounded queues of jobs: one for those who wait, one for those who can't.
#[derive(Debug)]
pub struct DecodePool {
    queue: DecodeQueue,
    threads: Vec<JoinHandle<()>>,
}

/// The way into a [`DecodePool`]; cheap to clone.
#[derive(Clone, Debug)]
pub struct DecodeQueue {
    /// Of files, which always have another job ready.
    patient: Sender<Pending>,
    /// Of live streams, which would find a common queue full of the files' jobs.
    urgent: Sender<Pending>,
    shared: Arc<Shared>,
}

/// A job that found the queue full, handed back whole.
pub struct QueueFull {
    /// The job.
    pub job: DecodeJob,
    /// Its reply, not called.
    pub reply: DecodeReply,
}

/// Figures of a pool since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DecodeSnapshot {
    /// Decoders.
    pub threads: usize,
    /// Jobs that wait.
    pub queued: usize,
    /// Jobs that wait at most.
    pub queue_capacity: usize,
    /// Jobs that gave their pictures.
    pub jobs_done: u64,
    /// Jobs that gave an error.
    pub jobs_failed: u64,
    /// Access units fed to decoders.
    pub units_fed: u64,
    /// Pictures that decoders put out.
    pub pictures_decoded: u64,
    /// Pictures converted and given out.
    pub pictures_given: u64,
    /// Time that the decoders worked, all together.
    pub busy: Duration,
    /// Jobs by the time that they took: up to each of [`JOB_SECONDS`], and longer.
    pub jobs_by_seconds: [u64; JOB_SECONDS.len() + 1],
    /// Bytes of the pictures that are being decoded and converted now.
    pub picture_bytes: u64,
    /// Decoders that hung and were left behind with their thread.
    pub abandoned: u64,
}

#[derive(Debug, Default)]
struct Shared {
    threads: usize,
    closed: AtomicBool,
    jobs_done: AtomicU64,
    jobs_failed: AtomicU64,
    units_fed: AtomicU64,
    pictures_decoded: AtomicU64,
    pictures_given: AtomicU64,
    busy_ns: AtomicU64,
    jobs_by_seconds: [AtomicU64; JOB_SECONDS.len() + 1],
    picture_bytes: AtomicU64,
    abandoned: AtomicU64,
}

impl DecodePool {
    /// Starts the threads. Fails at once where the chosen decoder is not installed or does not start.
    pub fn start(config: &DecodeConfig) -> Result<Self, DecodeError> {
        drop(Decoder::new(config.decoder)?);
        let kind = config.decoder;
        Ok(Self::with_decoders(config, move || Decoder::new(kind)))
    }

    fn with_decoders<D: Decode>(
        config: &DecodeConfig,
        make: impl Fn() -> Result<D, DecodeError> + Clone + Send + 'static,
    ) -> Self {
        let threads = config.threads.get();
        // One job ready for each decoder: more would only hold access units in memory.
        let (patient, patient_waiting) = crossbeam_channel::bounded(threads);
        let (urgent, urgent_waiting) = crossbeam_channel::bounded(threads);
        let shared = Arc::new(Shared {
            threads,
            ..Shared::default()
        });
        let start = |number: usize| {
            let worker = Worker {
                patient: patient_waiting.clone(),
                urgent: urgent_waiting.clone(),
                shared: shared.clone(),
                kind: config.decoder,
                deadline: config.deadline,
                make: make.clone(),
                seat: None,
            };
            std::thread::Builder::new()
                .name(format!("decode-{number}"))
                .spawn(move || worker.run())
        };
        // A thread that the system refuses leaves a smaller pool; with none at all every job is answered with `Closed`.
        let threads = (0..threads)
            .filter_map(|number| {
                start(number)
                    .inspect_err(|error| tracing::error!(%error, number, "no thread for a decoder"))
                    .ok()
            })
            .collect();
        Self {
            queue: DecodeQueue {
                patient,
                urgent,
                shared,
            },
            threads,
        }
    }

    /// A way in.
    pub fn queue(&self) -> DecodeQueue {
        self.queue.clone()
    }

    /// Figures so far.
    pub fn snapshot(&self) -> DecodeSnapshot {
        self.queue.snapshot()
    }

    /// Finishes the jobs that have begun, answers the waiting ones with [`DecodeError::Closed`] and ends the threads.
    pub fn close(self) {
        self.queue.shared.closed.store(true, Ordering::Relaxed);
        drop(self.queue);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a decode thread had panicked");
            }
        }
    }
}

impl DecodeQueue {
    /// Hands a job in, waiting for room; for file sources. After the pool's end the reply gets [`DecodeError::Closed`].
    pub fn submit(&self, job: DecodeJob, reply: DecodeReply) {
        // A job that nobody will take is answered when it is dropped.
        drop(self.patient.send(Pending::new(job, reply)));
    }

    /// Hands a job in if there is room; for live sources, which shed. After the pool's end the reply gets
    /// [`DecodeError::Closed`].
    pub fn try_submit(&self, job: DecodeJob, reply: DecodeReply) -> Result<(), QueueFull> {
        match self.urgent.try_send(Pending::new(job, reply)) {
            Err(TrySendError::Full(pending)) => match pending.take() {
                Some((job, reply)) => Err(QueueFull { job, reply }),
                None => Ok(()),
            },
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }

    /// Figures so far.
    pub fn snapshot(&self) -> DecodeSnapshot {
        let shared = &self.shared;
        let lanes = [&self.patient, &self.urgent];
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DecodeSnapshot {
            threads: shared.threads,
            queued: lanes.iter().map(|lane| lane.len()).sum(),
            queue_capacity: lanes.iter().filter_map(|lane| lane.capacity()).sum(),
            jobs_done: read(&shared.jobs_done),
            jobs_failed: read(&shared.jobs_failed),
            units_fed: read(&shared.units_fed),
            pictures_decoded: read(&shared.pictures_decoded),
            pictures_given: read(&shared.pictures_given),
            busy: Duration::from_nanos(read(&shared.busy_ns)),
            jobs_by_seconds: std::array::from_fn(|bucket| read(&shared.jobs_by_seconds[bucket])),
            picture_bytes: read(&shared.picture_bytes),
            abandoned: read(&shared.abandoned),
        }
    }
}

impl fmt::Debug for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueFull({})", self.job.stream)
    }
}

/// A job with its reply, which is called even if nobody takes the job.
struct Pending(Option<(DecodeJob, DecodeReply)>);

impl Pending {
    fn new(job: DecodeJob, reply: DecodeReply) -> Self {
        Self(Some((job, reply)))
    }

    fn take(mut self) -> Option<(DecodeJob, DecodeReply)> {
        self.0.take()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some((job, reply)) = self.0.take() {
            let stream = job.stream.clone();
            drop(job);
            reply(Err(DecodeError::Closed { stream }));
        }
    }
}

/// What can do a job; after an error it is not used again.
trait Decode: Sized + 'static {
    fn decode(&mut self, job: &DecodeJob) -> Result<Decoded, DecodeError>;
}

impl Decode for Decoder {
    fn decode(&mut self, job: &DecodeJob) -> Result<Decoded, DecodeError> {
        Decoder::decode(self, job)
    }
}

type Outcome = Result<Decoded, DecodeError>;

/// One thread of the pool. Its decoder sits on a second thread, because a decoder that hangs cannot be interrupted: it is
/// left there, and the next job gets a new one.
struct Worker<M> {
    patient: Receiver<Pending>,
    urgent: Receiver<Pending>,
    shared: Arc<Shared>,
    kind: DecoderKind,
    deadline: Duration,
    make: M,
    seat: Option<Seat>,
}

/// A decoder's thread: a job in, an outcome out.
struct Seat {
    jobs: Sender<DecodeJob>,
    outcomes: Receiver<Outcome>,
}

impl<D: Decode, M: Fn() -> Result<D, DecodeError> + Clone + Send + 'static> Worker<M> {
    fn run(mut self) {
        loop {
            let pending = match self.next() {
                Ok(pending) => pending,
                Err(RecvTimeoutError::Timeout) if !self.shared.closed.load(Ordering::Relaxed) => continue,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            };
            if self.shared.closed.load(Ordering::Relaxed) {
                drop(pending);
                continue;
            }
            if let Some((job, reply)) = pending.take() {
                let units_fed = job.feed.len() as u64;
                let picture_bytes =
                    3 * job.size.width as u64 * job.size.height as u64 * job.wanted.len() as u64;
                let count = |counter: &AtomicU64, more| counter.fetch_add(more, Ordering::Relaxed);
                count(&self.shared.picture_bytes, picture_bytes);
                let begin = Instant::now();
                let outcome = self.decode(job);
                let took = begin.elapsed();
                let busy_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
                count(&self.shared.busy_ns, busy_ns);
                let bucket = JOB_SECONDS.partition_point(|bound| took.as_secs_f64() > *bound);
                count(&self.shared.jobs_by_seconds[bucket], 1);
                count(&self.shared.units_fed, units_fed);
                match &outcome {
                    Ok(decoded) => {
                        count(&self.shared.jobs_done, 1);
                        count(&self.shared.pictures_decoded, decoded.decoded);
                        count(&self.shared.pictures_given, decoded.pictures.len() as u64);
                    }
                    Err(_) => {
                        count(&self.shared.jobs_failed, 1);
                    }
                }
                reply(outcome.map(|decoded| decoded.pictures));
                self.shared
                    .picture_bytes
                    .fetch_sub(picture_bytes, Ordering::Relaxed);
            }
        }
    }

    /// Of the two queues at random where both have a job, so that neither waits for ever.
    fn next(&self) -> Result<Pending, RecvTimeoutError> {
        crossbeam_channel::select! {
            recv(self.patient) -> pending => Ok(pending?),
            recv(self.urgent) -> pending => Ok(pending?),
            default(IDLE_POLL) => Err(RecvTimeoutError::Timeout),
        }
    }

    fn decode(&mut self, job: DecodeJob) -> Outcome {
        let (stream, first_unit) = (
            job.stream.clone(),
            job.feed.first().map_or(0, |fed| fed.unit.index),
        );
        let seat = match self.seat.take() {
            Some(seat) => seat,
            None => self.take_seat()?,
        };
        let gone = |what: &str| DecodeError::Decoder {
            stream: stream.clone(),
            unit: first_unit,
            decoder: self.kind.element().to_owned(),
            message: what.to_owned(),
        };
        if seat.jobs.send(job).is_err() {
            return Err(gone("its thread is gone"));
        }
        match seat.outcomes.recv_timeout(self.deadline) {
            Ok(outcome) => {
                if outcome.is_ok() {
                    self.seat = Some(seat);
                }
                outcome
            }
            Err(RecvTimeoutError::Disconnected) => Err(gone("its thread panicked")),
            Err(RecvTimeoutError::Timeout) => {
                self.shared.abandoned.fetch_add(1, Ordering::Relaxed);
                Err(DecodeError::Hung {
                    stream,
                    first_unit,
                    deadline: self.deadline,
                    decoder: self.kind.element().to_owned(),
                })
            }
        }
    }

    /// Starts a decoder on a thread of its own, which ends when the seat is dropped or the decoder fails.
    fn take_seat(&self) -> Result<Seat, DecodeError> {
        let (jobs, next) = crossbeam_channel::bounded::<DecodeJob>(1);
        let (done, outcomes) = crossbeam_channel::bounded(1);
        let make = self.make.clone();
        let decode = move || {
            let mut decoder = None;
            while let Ok(job) = next.recv() {
                let ready = match decoder.take() {
                    Some(ready) => Ok(ready),
                    None => make(),
                };
                let outcome = ready.and_then(|mut ready: D| {
                    let decoded = ready.decode(&job)?;
                    decoder = Some(ready);
                    Ok(decoded)
                });
                drop(job);
                let failed = outcome.is_err();
                if done.send(outcome).is_err() || failed {
                    return;
                }
            }
        };
        let name = std::thread::current().name().map(|name| format!("{name}-work"));
        std::thread::Builder::new()
            .name(name.unwrap_or_default())
            .spawn(decode)
            .map_err(|error| DecodeError::GStreamer {
                message: format!("no thread for a decoder: {error}"),
            })?;
        Ok(Seat { jobs, outcomes })
    }
}

#[cfg(test)]
mod tests;
