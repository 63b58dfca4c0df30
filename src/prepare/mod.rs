//! A folder of videos in any codec → the same folder with every video in one encoding, so that the encoding gives no class
//! away.
//!
//! Each worker thread runs one GStreamer pipeline at a time; memory holds a few pictures of each. A video is written beside its
//! place and renamed; what is there already, made with the same settings from a file that has not changed since, is left
//! alone, so a broken-off run goes on where it stopped. A video that fails is named and counted, and the others go on.

mod error;
mod run;
mod settings;
mod transcode;

pub use error::PrepareError;
pub use run::{Failed, PrepareOptions, Prepared, prepare};
pub use settings::{Fit, PrepareSettings, SETTINGS_FILE};
