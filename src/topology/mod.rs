//! What runs where: the only place that spawns and wires the stages, and that reads clocks.
//!
//! [`run()`] prepares everything that can fail before work starts (sources, port, device, checkpoint folder), starts the
//! learner, then one supervised group a stream (a [`StreamActor`](crate::ingest::StreamActor) and its scout thread), and ends
//! in good order: ingest stops, the step under way is finished, a snapshot is written.
//!
//! A stream's failure restarts that stream's group and nothing else. The learner's failure ends the run with an error; its
//! last snapshot stands.

mod board;
mod entry;
mod error;
mod member;
mod outcome;
mod prepare;
mod probe;
mod provenance;
mod roster;
mod run;
mod service;
mod sight;
mod signals;
mod stream_group;
mod supervisor;
mod trainer;
mod watched_source;

pub use error::RunError;
pub use outcome::{RunSummary, StreamOutcome};
pub use prepare::{CheckedSource, Prepared, prepare};
pub use provenance::{Provenance, StreamProvenance};
pub use run::{run, run_watched};
