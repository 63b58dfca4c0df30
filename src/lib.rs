//! comove watches H.264 video and keeps training a video network on it, without labels.
//!
//! The modules stand in the order in which the data flows; ARCHITECTURE.md has the picture.

pub mod ingest;

pub mod h264;

pub mod window;

pub mod decode;

pub mod replay;

pub mod model;

pub mod loss;

pub mod train;

pub mod checkpoint;

pub mod eval;

pub mod probe;

pub mod synth;

pub mod prepare;

pub mod inspect;

pub mod extract;

pub mod telemetry;

pub mod server;

pub mod config;

pub mod topology;
