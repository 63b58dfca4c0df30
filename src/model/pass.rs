use tch::Kind;

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Batch statistics are used and remembered; dropout drops.
    Train,
    /// Remembered statistics are used; nothing is random.
    Evaluate,
}

/// In which type convolutions and matrix products compute. Parameters, norms, soft-max and losses are always f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Single precision throughout.
    Float32,
    /// Operands of convolutions, linear layers and attention are rounded to bfloat16, as torch's autocast does.
    BFloat16,
}

/// The circumstances of a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// What it is for.
    pub phase: Phase,
    /// How it computes.
    pub precision: Precision,
}

impl Pass {
    /// A training pass.
    pub fn train(precision: Precision) -> Self {
        Self {
            phase: Phase::Train,
            precision,
        }
    }

    /// An evaluation pass.
    pub fn evaluate(precision: Precision) -> Self {
        Self {
            phase: Phase::Evaluate,
            precision,
        }
    }

    pub(super) fn training(self) -> bool {
        self.phase == Phase::Train
    }

    pub(super) fn compute_kind(self) -> Kind {
        match self.precision {
            Precision::Float32 => Kind::Float,
            Precision::BFloat16 => Kind::BFloat16,
        }
    }
}
