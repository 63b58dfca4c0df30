use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use tch::Device;

use super::{HandOver, ProbeConfig};
use crate::eval::{EvalError, HeldFigures, HeldList, HeldVideos};
use crate::model::{Model, ModelConfig};
use crate::train::VideoWeights;

/// How much nicer the thread is than the program. Beside a trainer that never rests it gets a tenth of one core: twice as nice,
/// it would get a hundredth, and no figure for hours.
const NICER: i32 = 10;
/// How long the end of a run waits for the video under way.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// What the probe's thread says.
#[derive(Clone, Debug, PartialEq)]
pub enum ProbeEvent {
    /// The folder is decoded.
    Ready {
        /// Videos that can be used.
        videos: usize,
        /// Name and reason of each that cannot.
        unreadable: Vec<(String, String)>,
        /// Memory of their clips.
        bytes: u64,
    },
    /// A network was judged.
    Judged {
        /// Steps behind it.
        step: u64,
        /// What it got right.
        figures: HeldFigures,
        /// From its weights' arrival on.
        took: Duration,
        /// How long training stood still for the copy of its weights.
        copied_in: Duration,
    },
    /// A network could not be judged, or none ever can be.
    Failed {
        /// The kind of failure.
        failure: ProbeFailure,
        /// What happened, for people.
        message: String,
        /// From its weights' arrival on; zero where it did not come to that.
        took: Duration,
        /// How long training stood still for the copy of its weights.
        copied_in: Duration,
    },
}

/// Why there is no figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeFailure {
    /// Too few videos could be decoded. Final.
    Videos,
    /// The network's features are not finite, or zero.
    Features,
    /// The network could not be built or run.
    Network,
    /// A defect in comove or libtorch.
    Panicked,
}

impl ProbeFailure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Videos, Self::Features, Self::Network, Self::Panicked];

    /// The metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Videos => "videos",
            Self::Features => "features",
            Self::Network => "network",
            Self::Panicked => "panicked",
        }
    }
}

/// A folder that can be probed with, before its thread has begun.
#[derive(Debug)]
pub struct Prober {
    list: HeldList,
    config: ProbeConfig,
    model: ModelConfig,
    wanted: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    weights: Receiver<VideoWeights>,
}

impl Prober {
    /// Lists and checks `dir` for networks such as `model`. The trainer gets the other half.
    ///
    /// # Errors
    /// As [`HeldList::open`].
    pub fn open(dir: &Path, config: &ProbeConfig, model: ModelConfig) -> Result<(Self, HandOver), EvalError> {
        let list = HeldList::open(dir, config.label.as_deref(), model.sample, config.clips)?;
        let (wanted, over) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (sender, weights) = bounded(1);
        let hand_over = HandOver {
            wanted: wanted.clone(),
            over: over.clone(),
            weights: sender,
        };
        let prober = Self {
            list,
            config: config.clone(),
            model,
            wanted,
            over,
            weights,
        };
        Ok((prober, hand_over))
    }

    /// How many videos the folder lists.
    pub fn videos(&self) -> usize {
        self.list.videos()
    }

    /// How many classes it has.
    pub fn classes(&self) -> usize {
        self.list.classes().len()
    }

    /// Begins to work. The trainer must have begun already: its number of libtorch threads is its own from then on.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(self, on_event: impl FnMut(ProbeEvent) + Send + 'static) -> io::Result<ProbeThread> {
        let (ended, is_ended) = bounded(0);
        let work = move || {
            let _ended = ended;
            self.work(on_event);
        };
        let thread = thread::Builder::new().name("probe".into()).spawn(work)?;
        Ok(ProbeThread { thread, is_ended })
    }

    fn work(self, mut on_event: impl FnMut(ProbeEvent)) {
        if let Err(error) = rustix::process::nice(NICER) {
            tracing::warn!(%error, "the probe's thread keeps its priority: it may slow training down");
        }
        // Of this thread alone.
        tch::set_num_threads(1);
        let over = self.over;
        let unable = |failure, message| ProbeEvent::Failed {
            failure,
            message,
            took: Duration::ZERO,
            copied_in: Duration::ZERO,
        };
        let held = match caught(|| self.list.read(|| !over.load(Ordering::Acquire))) {
            Ok(Some(held)) => held,
            Ok(None) => return,
            Err((ProbeFailure::Panicked, message)) => {
                return on_event(unable(ProbeFailure::Panicked, message));
            }
            Err((_, message)) => return on_event(unable(ProbeFailure::Videos, message)),
        };
        on_event(ProbeEvent::Ready {
            videos: held.videos(),
            unreadable: held.unreadable().to_vec(),
            bytes: held.bytes(),
        });
        let turns = Turns {
            held,
            neighbours: self.config.neighbours as usize,
            every: self.config.every,
            wanted: self.wanted,
            over,
            weights: self.weights,
        };
        match caught(|| Ok(Model::random(&self.model, 0, Device::Cpu)?)) {
            Ok(model) => turns.take(&model, on_event),
            Err((failure, message)) => on_event(unable(failure, message)),
        }
    }
}

/// One network after the other.
struct Turns {
    held: HeldVideos,
    neighbours: usize,
    every: Duration,
    wanted: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    weights: Receiver<VideoWeights>,
}

impl Turns {
    fn take(self, model: &Model, mut on_event: impl FnMut(ProbeEvent)) {
        let mut judged = None;
        loop {
            self.wanted.store(true, Ordering::Release);
            let Ok(weights) = self.weights.recv() else {
                return;
            };
            let began = Instant::now();
            let (step, copied_in) = (weights.step, weights.copied_in);
            // While training pauses there is nothing new.
            if judged != Some(step) {
                let figures = caught(|| {
                    weights.load_into(model.store())?;
                    let go_on = || !self.over.load(Ordering::Acquire);
                    self.held.judge(model, self.neighbours, go_on)
                });
                let took = began.elapsed();
                match figures {
                    Ok(Some(figures)) => {
                        judged = Some(step);
                        on_event(ProbeEvent::Judged {
                            step,
                            figures,
                            took,
                            copied_in,
                        });
                    }
                    Ok(None) => return,
                    Err((failure, message)) => on_event(ProbeEvent::Failed {
                        failure,
                        message,
                        took,
                        copied_in,
                    }),
                }
            }
            // Nobody sends unasked: this waits for the time, or for the end.
            let rest = self.every.saturating_sub(began.elapsed());
            if let Err(RecvTimeoutError::Disconnected) = self.weights.recv_timeout(rest) {
                return;
            }
        }
    }
}

/// What went wrong, a panic of libtorch included.
fn caught<T>(work: impl FnOnce() -> Result<T, EvalError>) -> Result<T, (ProbeFailure, String)> {
    let kind = |error: &EvalError| match error {
        EvalError::Feature { .. } => ProbeFailure::Features,
        _ => ProbeFailure::Network,
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| (kind(&error), error.to_string())),
        Err(payload) => Err((ProbeFailure::Panicked, panic_message(payload.as_ref()))),
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// The thread at work. It ends when the trainer's half is dropped.
#[derive(Debug)]
pub struct ProbeThread {
    thread: JoinHandle<()>,
    is_ended: Receiver<()>,
}

impl ProbeThread {
    /// Waits for its end, which comes with the video under way; says whether it came in time.
    pub fn join(self) -> bool {
        // Closed by the thread's end, never sent to.
        match self.is_ended.recv_timeout(END_PATIENCE) {
            Err(RecvTimeoutError::Timeout) => false,
            _ => self.thread.join().is_ok(),
        }
    }
}
