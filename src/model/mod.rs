//! The three networks of the method and what joins them, over explicitly named parameters.
//!
//! Takes float tensors on one device, gives embeddings or features. Runs on whichever thread owns the tensors; holds no
//! randomness of its own after its construction. Every parameter and running statistic has a PyTorch-like name
//! (`v.layer1.0.conv2.temporal.weight`) in a [`ParameterStore`] whose loading is strict.
//!
//! Method: "Self-supervised Video Representation Learning by Context and Motion Decoupling", arXiv 2104.00862.

mod attention;
mod average;
mod basic_block;
mod config;
mod conv;
mod error;
mod head;
mod init;
mod key_frame_network;
mod linear;
mod motion_network;
mod motion_predictor;
mod networks;
mod norm;
mod pass;
mod pixels;
mod preset;
mod store;
mod video_network;

pub use average::Average;
pub use basic_block::BasicBlock;
pub use config::{ModelConfig, MotionStem, NormKind, PredictorConfig, ResidualConfig, ViewNorm};
pub use error::ModelError;
pub use head::Head;
pub use init::Init;
pub use key_frame_network::KeyFrameNetwork;
pub use motion_network::MotionNetwork;
pub use motion_predictor::MotionPredictor;
pub use networks::{Embeddings, Model, Views};
pub use norm::Norm;
pub use pass::{Pass, Phase, Precision};
pub use pixels::{RGB_MEAN, RGB_STD, normalise_rgb};
pub use preset::Preset;
pub use store::{Builder, Parameter, ParameterStore, Role, Scope, StatisticsBefore, load_strictly};
pub use video_network::{VideoFeatures, VideoNetwork};
