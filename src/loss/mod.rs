//! Embeddings → the contrastive losses and how well the two tasks are solved, as tensors on the device of the embeddings.
//!
//! Pure functions of their arguments; no host sync. A batch in which a task has nothing to compare gives the loss 0.

mod context;
mod info_nce;
mod joint;
mod motion;

pub use context::context_loss;
pub use info_nce::{Comparison, Contrast, info_nce};
pub use joint::{JointLoss, joint_loss};
pub use motion::motion_loss;

/// Temperature of both losses (paper, section 4.1).
pub const TEMPERATURE: f64 = 0.1;
