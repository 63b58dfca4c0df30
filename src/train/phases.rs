use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Seconds that the parts of a step took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseSeconds {
    /// Waiting for the batch.
    pub wait: f64,
    /// Gathering the samples and copying them to the device.
    pub copy: f64,
    /// Augmenting.
    pub augment: f64,
    /// Networks and losses.
    pub forward: f64,
    /// Gradients.
    pub backward: f64,
    /// Clipping, the optimiser's step, moving averages.
    pub optimiser: f64,
    /// Figures and features of the step, and telling replay.
    pub bookkeeping: f64,
}

impl PhaseSeconds {
    /// Name and seconds of each part, in the order of a step.
    pub fn each(&self) -> [(&'static str, f64); 7] {
        [
            ("wait", self.wait),
            ("copy", self.copy),
            ("augment", self.augment),
            ("forward", self.forward),
            ("backward", self.backward),
            ("optimiser", self.optimiser),
            ("bookkeeping", self.bookkeeping),
        ]
    }

    /// All but the waiting.
    pub fn step(&self) -> f64 {
        self.each().iter().map(|(_, seconds)| seconds).sum::<f64>() - self.wait
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.wait += other.wait;
        self.copy += other.copy;
        self.augment += other.augment;
        self.forward += other.forward;
        self.backward += other.backward;
        self.optimiser += other.optimiser;
        self.bookkeeping += other.bookkeeping;
    }

    pub(super) fn divided_by(&self, count: u64) -> Self {
        let count = count.max(1) as f64;
        Self {
            wait: self.wait / count,
            copy: self.copy / count,
            augment: self.augment / count,
            forward: self.forward / count,
            backward: self.backward / count,
            optimiser: self.optimiser / count,
            bookkeeping: self.bookkeeping / count,
        }
    }
}

/// Takes the time of a step's parts.
///
/// A GPU works behind the host's back: there the device is waited for after each part, which a step may afford now and then
/// only. Steps that are not `timed` run through.
#[derive(Debug)]
pub struct PhaseClock {
    timed: bool,
    device: tch::Device,
    last: Instant,
    seconds: PhaseSeconds,
}

impl PhaseClock {
    /// A step begins, after so much waiting for its batch.
    pub fn start(waited: Duration, device: tch::Device, timed: bool) -> Self {
        let mut clock = Self {
            timed,
            device,
            last: Instant::now(),
            seconds: PhaseSeconds {
                wait: waited.as_secs_f64(),
                ..PhaseSeconds::default()
            },
        };
        if timed {
            // What earlier steps left to the device is not this one's.
            clock.synchronise();
            clock.last = Instant::now();
        }
        clock
    }

    /// A clock for those who don't care.
    pub fn idle() -> Self {
        Self::start(Duration::ZERO, tch::Device::Cpu, false)
    }

    fn synchronise(&self) {
        if let tch::Device::Cuda(index) = self.device {
            tch::Cuda::synchronize(index as i64);
        }
    }

    /// Books the time since the last part's end.
    pub(super) fn lap(&mut self, part: fn(&mut PhaseSeconds) -> &mut f64) {
        if self.timed {
            self.synchronise();
            let now = Instant::now();
            *part(&mut self.seconds) += now.duration_since(self.last).as_secs_f64();
            self.last = now;
        }
    }

    /// What the parts took, if this step was timed.
    pub fn finish(mut self) -> Option<PhaseSeconds> {
        self.lap(|seconds| &mut seconds.bookkeeping);
        self.timed.then_some(self.seconds)
    }
}
