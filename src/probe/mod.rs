//! A small labelled folder and the V-Network of now → how many of its videos k-NN gives their class, while training goes on.
//!
//! Works on one thread of its own, with one libtorch thread and a priority far below the trainer's. The trainer copies the V-Network when the
//! thread asks ([`HandOver`]), and never waits for it. The folder is checked before work starts, decoded once at the beginning,
//! and held in bounded memory. Slow, it probes less often; what fails is told with its reason, and the next turn tries again.

mod config;
mod hand_over;
mod thread;

pub use config::ProbeConfig;
pub use hand_over::HandOver;
pub use thread::{ProbeEvent, ProbeFailure, ProbeThread, Prober};
