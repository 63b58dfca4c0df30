//! Class folders and a checkpoint → how well videos of one class are told from others.
//!
//! Nothing is trained here: pooled features of a frozen V-Network, averaged over ten clips of each video, are compared by
//! their cosine (paper, section 4.3). Runs on the calling thread, which owns the tensors, with a few threads that decode
//! ahead; at most a handful of videos is in memory. A video that cannot be decoded is named, counted and left out.

mod centre_crop;
mod clips;
mod dataset;
mod error;
mod features;
mod folds;
mod knn;
mod read;
mod report;
mod retrieval;
mod run;
mod score;
mod similarity;
mod weights;

pub use dataset::UnusedFolder;
pub use error::EvalError;
pub use report::{
    DatasetReport, EVAL_SCHEMA, EvalReport, SettingsReport, ShortVideo, SkippedVideo, VideosUsed,
    WeightsReport,
};
pub use run::{EvalOptions, EvalTask, evaluate};
pub use score::{ClassKnn, ClassRetrieval, KnnFigures, Protocol, RecallAtK, RetrievalFigures};
pub use similarity::BadFeature;
pub use weights::Weights;
