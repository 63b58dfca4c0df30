//! A labelled data set and a checkpoint → how well videos of one class are told from others.
//!
//! Pooled features of a frozen network, averaged over ten clips of each video, are compared by their cosine (retrieval, k-NN;
//! paper, section 4.3) or given to a linear classifier (probe); or the whole V-Network is trained on the labels (finetune).
//! Baselines take the network's place to say what a figure is worth. Runs on the calling thread, which owns the tensors,
//! with a few threads that decode ahead; at most a handful of videos is in memory. A video that is missing, unreadable or
//! short is named and counted.

mod annotations;
mod baseline;
mod centre_crop;
mod clips;
mod csv;
mod dataset;
mod embeddings;
mod error;
mod features;
#[cfg(test)]
mod file_tree;
mod finetune;
mod folds;
mod groups;
mod held;
mod html;
mod knn;
mod label_table;
mod probe;
mod read;
mod read_motion;
mod report;
mod report_text;
mod retrieval;
mod run;
mod score;
mod similarity;
mod source;
mod split_lists;
mod video_files;
mod video_index;
mod weights;

pub use baseline::Baseline;
pub use dataset::{AnnotationFacts, DatasetOptions, UnusedFolder};
pub use error::EvalError;
#[cfg(test)]
pub(crate) use file_tree::tree;
pub use finetune::{EpochFigures, FinetuneFigures, FinetuneSettings};
pub use groups::{BadPattern, GroupRule, NamePattern};
pub use held::{HeldFigures, HeldList, HeldVideos};
pub use probe::{PenaltyAccuracy, ProbeFigures};
pub use report::{
    DatasetReport, EVAL_SCHEMA, EvalReport, SettingsReport, ShortVideo, SkippedVideo, VideosUsed,
    WeightsReport,
};
pub use run::{EvalOptions, EvalTask, Folds, evaluate, evaluate_labels};
pub use score::{
    ClassAccuracy, ClassRetrieval, Classification, KnnFigures, Protocol, RecallAtK, RetrievalFigures,
};
pub use similarity::BadFeature;
pub use source::{FeatureSource, NetworkPart};
pub(crate) use video_files::is_video;
pub use weights::Weights;
