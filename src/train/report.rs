use serde::{Deserialize, Serialize};

use super::PhaseSeconds;

/// How training went since the last report. Averages over its steps; NaN where a task had nothing to compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepReport {
    /// Steps finished, over all runs.
    pub step: u64,
    /// Samples trained on, over all runs, each as often as it was drawn.
    pub samples: u64,
    /// Steps that this report is about.
    pub steps: u64,
    /// Those of them that `phases` is about: all on a CPU, the last on a GPU.
    pub timed_steps: u64,
    /// Where the time of a step went, averaged over the timed ones.
    pub phases: PhaseSeconds,
    /// Samples of these steps that were used for the first time.
    pub prequential_samples: u64,
    /// The context loss of those samples, nats: what the networks made of samples that they had never been trained on. It comes
    /// from the forward pass of the step itself, before its update; the batch that they are compared with holds older samples too.
    pub prequential_context: f64,
    /// The same of the motion loss.
    pub prequential_motion: f64,
    /// The joint loss, nats.
    pub loss: f64,
    /// The context loss, nats.
    pub context_loss: f64,
    /// The motion loss, nats.
    pub motion_loss: f64,
    /// Share of clips that find their key frame.
    pub context_top1: f64,
    /// Share of positions whose motion is told apart from all other.
    pub motion_top1: f64,
    /// What `context_top1` would be by chance.
    pub context_chance: f64,
    /// What `motion_top1` would be by chance.
    pub motion_chance: f64,
    /// Clips a step that had another segment's key frame to be compared with: 0 where all of a batch is one segment.
    pub context_queries: f64,
    /// Positions a step whose motion was known.
    pub motion_queries: f64,
    /// Spread of the pooled features scaled to length 1: their standard deviation by dimension times √C. 0 when all are the
    /// same (collapse), 1 when they point everywhere alike.
    pub embedding_std: f64,
    /// How many dimensions the last 256 pooled features use (Roy and Vetterli 2007), at most 256.
    pub effective_rank: f64,
    /// Mean squared distance of a clip's and its key frame's embedding, of length 1 (Wang and Isola 2020): 0 when they agree, 2 when
    /// they have nothing to do with each other.
    pub alignment: f64,
    /// Log of the mean of exp(−2 · squared distance) over pairs of the last 256 pooled features of length 1 (the same authors): 0
    /// when all are the same, towards −4 when they spread evenly.
    pub uniformity: f64,
    /// Samples trained on a second of wall clock.
    pub samples_per_second: f64,
    /// Seconds of waiting for batches, in all steps together.
    pub data_wait_seconds: f64,
    /// Seconds of a step, without the waiting.
    pub step_seconds: f64,
    /// Of the step to come.
    pub learning_rate: f64,
    /// Length of the gradient before clipping, averaged over the finite steps.
    pub grad_norm: f64,
    /// Steps skipped because loss or gradient was not finite, over all runs.
    pub nonfinite_steps: u64,
}
