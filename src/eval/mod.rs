//! Class folders and a checkpoint → how well videos of one class are told from others.
//!
//! Nothing is trained here: features of a frozen V-Network are compared with each other.

mod clips;
mod dataset;
mod error;
mod features;
mod folds;
mod knn;
mod read;
mod report;
mod retrieval;
mod score;
mod similarity;

pub use dataset::{Dataset, LabelledVideo, Part, UnusedFolder};
pub use error::EvalError;
pub use report::EvalReport;
