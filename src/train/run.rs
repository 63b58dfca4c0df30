use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use tch::{Cuda, Device};

use super::handle::{Command, EndReason, TrainEvent, TrainSummary, TrainerParts};
use super::interval::{FirstUses, Interval};
use super::snapshots::{Rollbacks, Snapshots};
use super::{
    BatchSource, Learner, NoData, PhaseClock, StepReport, TrainConfig, TrainError, WeightTaker, open_device,
};
use crate::checkpoint::{
    CheckpointFolder, ForgetJob, Forgot, Forgotten, SnapshotWriter, WriteJob, load_for_resume, load_samples,
    newest_first,
};
use crate::ingest::StreamName;
use crate::replay::Sample;

/// How long a command may have to wait for a batch that does not come.
const BATCH_PATIENCE: Duration = Duration::from_millis(100);

/// The trainer's thread from the inside.
pub(super) struct Run {
    config: TrainConfig,
    learner: Learner,
    device: Device,
    source: Box<dyn BatchSource>,
    commands: Receiver<Command>,
    on_event: Box<dyn FnMut(TrainEvent) + Send>,
    provenance: Box<dyn FnMut() -> serde_json::Value + Send>,
    weights: Option<Box<dyn WeightTaker>>,
    config_text: String,
    forgotten: Vec<Forgotten>,
    snapshots: Option<Snapshots>,
    first_step: u64,
    paused: bool,
    interval: Interval,
    report: Option<StepReport>,
    rollbacks: Rollbacks,
}

fn now_unix() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Run {
    /// Opens the device and the checkpoint folder, makes or loads the networks.
    pub(super) fn prepare(parts: TrainerParts, commands: Receiver<Command>) -> Result<Self, TrainError> {
        let config = parts.config;
        config.validate()?;
        let device = open_device(config.device)?;
        match config.threads {
            Some(threads) => tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX)),
            // Asking fixes it for this thread: another one that sets its own sets that of threads yet to be asked, too.
            None => {
                let _ = tch::get_num_threads();
            }
        }
        if device.is_cuda() {
            // Shapes never change, so the fastest convolution is worth finding.
            Cuda::cudnn_set_benchmark(true);
        }
        // The folder first: opening it finishes what a killed writer left, which may be what is gone on from.
        let folder = match &parts.checkpoint {
            Some(checkpoint) => Some(CheckpointFolder::open(&checkpoint.dir)?),
            None => None,
        };
        let mut source = parts.source;
        if let (Some(folder), Some(spill)) = (&folder, source.spill_folder()) {
            folder.hold_slots(spill)?;
        }
        let mut forgotten = Vec::new();
        let mut first_uses = FirstUses::default();
        let learner = match &parts.resume {
            Some(path) => {
                let from = load_for_resume(path)?;
                let samples = match &folder {
                    Some(folder) => folder.take_samples(&from.path)?,
                    None => load_samples(&from.path)?,
                };
                let learner = Learner::resume(&config, device, &from)?;
                if let Some(state) = from.replay {
                    source.restore(state, samples).map_err(TrainError::Source)?;
                }
                // Not asked of the folder earlier: what is gone on from is known now that the folder is open.
                (parts.on_resume)(from.manifest.provenance);
                forgotten = from.manifest.forgotten;
                first_uses = FirstUses::import(&from.statistics);
                learner
            }
            None => Learner::new(&config, device)?,
        };
        let snapshots = match (folder, parts.checkpoint) {
            (Some(folder), Some(checkpoint)) => Some(Snapshots {
                writer: SnapshotWriter::start(folder, checkpoint.retention()).map_err(TrainError::Thread)?,
                config: checkpoint,
                asked: Vec::new(),
                to_forget: Vec::new(),
                tried_at: Instant::now(),
                tried_step: learner.step(),
                written: None,
                failed: 0,
            }),
            _ => None,
        };
        Ok(Self {
            config,
            device,
            first_step: learner.step(),
            learner,
            source,
            forgotten,
            commands,
            on_event: parts.on_event,
            provenance: parts.provenance,
            weights: parts.weights,
            config_text: parts.config_text,
            snapshots,
            paused: false,
            interval: Interval {
                first_uses,
                ..Interval::begin()
            },
            report: None,
            rollbacks: Rollbacks::default(),
        })
    }

    pub(super) fn device(&self) -> Device {
        self.device
    }

    pub(super) fn step(&self) -> u64 {
        self.learner.step()
    }

    pub(super) fn model_bytes(&self) -> u64 {
        self.learner.memory_bytes()
    }

    /// Trains until there is a reason not to, and ends in good order. `step` follows the steps finished, for whoever catches a
    /// panic.
    pub(super) fn work(&mut self, step: &mut u64) -> Result<TrainSummary, TrainError> {
        self.interval.began = Instant::now();
        // Of the step to come: it may be asked for more than once.
        let mut waited = Duration::ZERO;
        let reason = loop {
            if let Some(reason) = self.obey() {
                break reason;
            }
            self.tend_snapshots()?;
            self.hand_weights_over();
            let taken = self.learner.step().saturating_sub(self.first_step);
            if self.config.max_steps.is_some_and(|max| taken >= max) {
                break EndReason::MaxSteps;
            }
            if self.paused {
                continue;
            }
            let asked_at = Instant::now();
            let batch = self.source.next_batch(self.config.batch_size(), BATCH_PATIENCE);
            waited += asked_at.elapsed();
            match batch {
                Ok(samples) => {
                    self.take_step(&samples, std::mem::take(&mut waited))?;
                    self.mind_divergence()?;
                    *step = self.learner.step();
                }
                Err(NoData::NotYet) => continue,
                Err(NoData::Ended(why)) => break EndReason::DataEnded(why),
                Err(NoData::Failed(why)) => return Err(TrainError::Source(why)),
            }
            if self.learner.unreported_steps() >= self.config.report_every {
                self.report_now();
            }
        };
        self.end(reason)
    }

    /// Copies the V-Network for whoever wants it now.
    fn hand_weights_over(&mut self) {
        let Some(taker) = self.weights.as_mut().filter(|taker| taker.wants()) else {
            return;
        };
        let began = Instant::now();
        let mut weights = self.learner.video_weights();
        weights.copied_in = began.elapsed();
        taker.take(weights);
    }

    /// Goes back to a snapshot after too many steps in a row that were not finite. On a GPU it looks at reports only.
    fn mind_divergence(&mut self) -> Result<(), TrainError> {
        if self.device.is_cuda() && self.learner.unreported_steps() < self.config.report_every {
            return Ok(());
        }
        let steps = self.learner.nonfinite_streak();
        if steps < self.config.nonfinite_patience {
            return Ok(());
        }
        let Some(snapshots) = &mut self.snapshots else {
            return Err(TrainError::NothingToGoBackTo { steps });
        };
        if self.rollbacks.done >= self.config.max_rollbacks {
            return Err(TrainError::NotFinite {
                steps,
                rollbacks: self.rollbacks.done,
            });
        }
        // One that is being written was begun before the first of these steps.
        let _ = snapshots.finish(&mut *self.on_event)?;
        let newest_first = newest_first(&snapshots.config.dir)?;
        let to = newest_first
            .get(self.rollbacks.in_a_row)
            .ok_or(TrainError::NothingToGoBackTo { steps })?;
        let from_step = self.learner.step();
        self.learner.roll_back(&load_for_resume(&to.path)?)?;
        self.rollbacks.done += 1;
        self.rollbacks.in_a_row += 1;
        self.interval = Interval::begin();
        snapshots.tried_at = Instant::now();
        snapshots.tried_step = to.step;
        (self.on_event)(TrainEvent::RolledBack {
            nonfinite: steps,
            from_step,
            to_step: to.step,
        });
        Ok(())
    }

    /// After an error or a panic: writes what was learned up to the last whole step, where the networks still are of that step.
    pub(super) fn rescue(&mut self) -> Result<(), TrainError> {
        let sound = self.learner.undo_step();
        let step = self.learner.step();
        let Some(snapshots) = &mut self.snapshots else {
            return Ok(());
        };
        let _ = snapshots.finish(&mut *self.on_event)?;
        let written = snapshots.written.as_ref().map(|written| written.step);
        if !sound || step <= written.unwrap_or(self.first_step) {
            return Ok(());
        }
        self.begin_snapshot(false)?;
        match &mut self.snapshots {
            Some(snapshots) => snapshots.last(&mut *self.on_event, self.first_step),
            None => Ok(()),
        }
    }

    fn take_step(&mut self, samples: &[Arc<Sample>], waited: Duration) -> Result<(), TrainError> {
        // A GPU is waited for at a report anyway: the step before it may be taken apart, and what steps made of their samples
        // brought to the host.
        let reported = self.learner.unreported_steps() + 1 >= self.config.report_every;
        let synchronous = reported || !self.device.is_cuda();
        let mut clock = PhaseClock::start(waited, self.device, synchronous);
        self.learner.learn_timed(samples, &mut clock)?;
        if synchronous {
            self.tell_source();
        }
        let phases = clock.finish();
        self.interval.waited += waited;
        self.interval.samples += samples.len() as u64;
        if let Some(phases) = &phases {
            self.interval.phases.add(phases);
            self.interval.timed_steps += 1;
        }
        let waited = waited.as_secs_f64();
        (self.on_event)(TrainEvent::Stepped { waited, phases });
        Ok(())
    }

    /// Tells the source of batches what became of them.
    fn tell_source(&mut self) {
        let outcomes = self.learner.take_outcomes();
        let first = self.source.learned(&outcomes);
        self.interval.first_uses.add(&outcomes, &first);
    }

    /// Obeys all commands that are there; while paused, waits for one.
    fn obey(&mut self) -> Option<EndReason> {
        loop {
            let command = if self.paused {
                // Not for ever: snapshots under way want to be reported.
                self.commands
                    .recv_timeout(BATCH_PATIENCE)
                    .map_err(|error| match error {
                        crossbeam_channel::RecvTimeoutError::Timeout => TryRecvError::Empty,
                        crossbeam_channel::RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                    })
            } else {
                self.commands.try_recv()
            };
            match command {
                Ok(Command::Stop) => return Some(EndReason::Stopped),
                Ok(Command::Pause) if !self.paused => {
                    self.paused = true;
                    (self.on_event)(TrainEvent::Paused);
                }
                Ok(Command::Resume) if self.paused => {
                    self.paused = false;
                    self.interval = Interval::begin();
                    (self.on_event)(TrainEvent::Resumed);
                }
                Ok(Command::Pause | Command::Resume) => {}
                Ok(Command::SetLearningRate(change, reply)) => {
                    let set = self.learner.set_rate(change);
                    if let Ok(rate) = &set {
                        (self.on_event)(TrainEvent::LearningRateSet(*rate));
                    }
                    let _ = reply.send(set);
                }
                Ok(Command::Forget(stream, reply)) => self.forget(stream, reply),
                Ok(Command::Snapshot(reply)) => match &mut self.snapshots {
                    Some(snapshots) => snapshots.asked.push(reply),
                    None => {
                        let _ = reply.send(Err("this run has no checkpoint folder".into()));
                    }
                },
                Err(TryRecvError::Empty) => return None,
                // Whoever waits for the end in `join` has given the sender up; a paused trainer would never end.
                Err(TryRecvError::Disconnected) if self.paused => return Some(EndReason::Stopped),
                Err(TryRecvError::Disconnected) => return None,
            }
        }
    }

    /// Snapshots to come say that the stream is forgotten; those on disk are changed when the one under way is written.
    fn forget(&mut self, stream: StreamName, reply: Sender<Result<Forgot, String>>) {
        let at_unix = now_unix();
        let samples_taken = (self.provenance)()[stream.as_str()]["samples"].as_u64();
        self.forgotten.retain(|one| one.stream != stream.as_str());
        if let Some(samples_taken) = samples_taken.filter(|samples| *samples > 0) {
            self.forgotten.push(Forgotten {
                stream: stream.to_string(),
                at_unix,
                samples_taken,
            });
        }
        match &mut self.snapshots {
            Some(snapshots) => snapshots.to_forget.push(ForgetJob {
                stream,
                at_unix,
                reply,
            }),
            None => {
                let _ = reply.send(Ok(Forgot::default()));
            }
        }
    }

    /// Reports snapshots that came to their end, and begins one that is due or asked for.
    fn tend_snapshots(&mut self) -> Result<(), TrainError> {
        let Some(snapshots) = &mut self.snapshots else {
            return Ok(());
        };
        if let Some(outcome) = snapshots.writer.poll() {
            // Training survives a snapshot that could not be written.
            if snapshots.settle(outcome, &mut *self.on_event).is_none() {
                self.rollbacks.in_a_row = 0;
            }
        }
        snapshots.begin_to_forget();
        let step = self.learner.step();
        let by_steps = snapshots
            .config
            .every_steps
            .is_some_and(|every| step.saturating_sub(snapshots.tried_step) >= every);
        let by_time = snapshots.tried_at.elapsed() >= snapshots.config.every;
        let due = step > snapshots.tried_step && (by_steps || by_time);
        // Networks that give nothing finite are not what anyone wants to go back to.
        let due = due && self.learner.nonfinite_streak() == 0;
        let wanted = due || !snapshots.asked.is_empty();
        if wanted && !snapshots.writer.busy() {
            self.begin_snapshot(false)?;
        }
        Ok(())
    }

    /// `finished`: the sources came to their planned end.
    fn begin_snapshot(&mut self, finished: bool) -> Result<(), TrainError> {
        // What became of the samples so far belongs to the policies' state.
        self.tell_source();
        let Some(snapshots) = &mut self.snapshots else {
            return Ok(());
        };
        let mut snapshot = self.learner.snapshot(now_unix())?;
        snapshot.config.clone_from(&self.config_text);
        snapshot.statistics.push(self.interval.first_uses.export()?);
        snapshot.metrics = self
            .report
            .and_then(|report| serde_json::to_value(report).ok())
            .unwrap_or_default();
        let (provenance, learned_from) = (&mut self.provenance, &mut snapshot.provenance);
        snapshot.replay = self.source.export(finished, &mut || *learned_from = provenance());
        snapshot.save_samples = snapshots.config.keep_replay > 0;
        snapshot.forgotten.clone_from(&self.forgotten);
        snapshots.tried_at = Instant::now();
        snapshots.tried_step = self.learner.step();
        let job = WriteJob {
            snapshot,
            replies: std::mem::take(&mut snapshots.asked),
        };
        if let Err(job) = snapshots.writer.try_write(job) {
            // Only if the writer's thread is gone, since it was not busy.
            let reason = "the snapshot writer has stopped";
            for reply in job.replies {
                let _ = reply.send(Err(reason.into()));
            }
            snapshots.failed += 1;
            let step = job.snapshot.step;
            (self.on_event)(TrainEvent::SnapshotFailed {
                step,
                reason: reason.into(),
            });
        }
        Ok(())
    }

    fn report_now(&mut self) {
        let steps = self.learner.unreported_steps();
        let learning_rate = self.learner.learning_rate();
        self.tell_source();
        // Waits for the device: what follows is measured after the work is done.
        let figures = self.learner.take_figures();
        let interval = std::mem::replace(&mut self.interval, Interval::begin());
        let seconds = interval.began.elapsed().as_secs_f64();
        let waited = interval.waited.as_secs_f64();
        let report = StepReport {
            step: self.learner.step(),
            samples: self.learner.samples(),
            steps,
            timed_steps: interval.timed_steps,
            phases: interval.phases.divided_by(interval.timed_steps),
            prequential_samples: interval.first_uses.samples,
            prequential_context: interval.first_uses.context.value(),
            prequential_motion: interval.first_uses.motion.value(),
            loss: figures.loss,
            context_loss: figures.context.loss,
            motion_loss: figures.motion.loss,
            context_top1: figures.context.top1,
            motion_top1: figures.motion.top1,
            context_chance: figures.context.chance,
            motion_chance: figures.motion.chance,
            context_queries: figures.context.queries,
            motion_queries: figures.motion.queries,
            embedding_std: figures.embedding_std,
            effective_rank: figures.effective_rank,
            alignment: figures.alignment,
            uniformity: figures.uniformity,
            samples_per_second: interval.samples as f64 / seconds.max(1e-9),
            data_wait_seconds: waited,
            step_seconds: (seconds - waited).max(0.0) / steps.max(1) as f64,
            learning_rate,
            grad_norm: figures.grad_norm,
            nonfinite_steps: self.learner.nonfinite_steps(),
        };
        self.report = Some(report);
        (self.on_event)(TrainEvent::Report(report));
    }

    /// The last report and the last snapshot.
    fn end(&mut self, reason: EndReason) -> Result<TrainSummary, TrainError> {
        if self.learner.unreported_steps() > 0 {
            self.report_now();
        }
        let step = self.learner.step();
        if let Some(snapshots) = &mut self.snapshots {
            // If this one failed, the one to come makes up for it.
            let _ = snapshots.finish(&mut *self.on_event)?;
            let written_step = snapshots
                .written
                .as_ref()
                .map_or(self.first_step, |written| written.step);
            // That the sources are over is worth a snapshot too: who goes on from it begins them anew.
            let over = step > 0 && matches!(reason, EndReason::DataEnded(_));
            if written_step < step || over || !snapshots.asked.is_empty() {
                self.begin_snapshot(matches!(reason, EndReason::DataEnded(_)))?;
            }
        }
        let (snapshot, snapshots_failed) = match &mut self.snapshots {
            Some(snapshots) => {
                // The last one has no next occasion: its failure is the run's.
                snapshots.last(&mut *self.on_event, self.first_step)?;
                (snapshots.written.clone(), snapshots.failed)
            }
            None => (None, 0),
        };
        Ok(TrainSummary {
            reason,
            step,
            steps_taken: step.saturating_sub(self.first_step),
            report: self.report,
            snapshot,
            snapshots_failed,
        })
    }
}
