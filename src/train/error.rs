use std::{io, path::PathBuf};

use tch::TchError;

use crate::checkpoint::CheckpointError;
use crate::ingest::StreamName;
use crate::model::ModelError;

/// Why training cannot start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A configured value cannot be.
    #[error("train.{key} is {value}; {right}")]
    Config {
        /// The key below `[train]`.
        key: &'static str,
        /// What it says.
        value: String,
        /// What would be right.
        right: &'static str,
    },
    /// CUDA was asked for and libtorch has no CUDA part.
    #[error(
        "train.device is \"{device}\", but {} does not exist: this libtorch is for the CPU only; install the one for CUDA with \
         COMOVE_LIBTORCH=cuda scripts/setup, or set train.device = \"cpu\"", library.display()
    )]
    NoCudaLibrary {
        /// As configured.
        device: String,
        /// What was looked for.
        library: PathBuf,
    },
    /// CUDA was asked for and libtorch's CUDA part does not load.
    #[error(
        "train.device is \"{device}\", but {} does not load: {reason}; install libtorch for CUDA whole with \
         COMOVE_LIBTORCH=cuda scripts/setup, or set train.device = \"cpu\"", library.display()
    )]
    CudaLibraryBroken {
        /// As configured.
        device: String,
        /// What was opened.
        library: PathBuf,
        /// The dynamic linker's words.
        reason: String,
    },
    /// CUDA was asked for and the machine has no NVIDIA driver.
    #[error(
        "train.device is \"{device}\", but the NVIDIA driver's libcuda.so.1 is not on this machine ({reason}); install the \
         driver, or give the container its GPU, or set train.device = \"cpu\""
    )]
    NoCudaDriver {
        /// As configured.
        device: String,
        /// The dynamic linker's words.
        reason: String,
    },
    /// CUDA was asked for and there are fewer GPUs.
    #[error(
        "train.device is \"{device}\", but the NVIDIA driver shows {found} usable GPUs to libtorch (nvidia-smi lists them; \
         CUDA_VISIBLE_DEVICES hides some); choose another, or set train.device = \"cpu\""
    )]
    NoSuchGpu {
        /// As configured.
        device: String,
        /// GPUs there are.
        found: i64,
    },
    /// libtorch was not found in this process, so its CUDA part cannot be either.
    #[error(
        "train.device is \"{device}\", but libtorch_cpu.so is not among this process's libraries: {reason}"
    )]
    NoLibtorch {
        /// As configured.
        device: String,
        /// Why.
        reason: String,
    },
    /// A sample does not have the shape that the networks are made for.
    #[error("a sample of stream {stream} has {what} {found}; {expected} is right")]
    Sample {
        /// Where it comes from.
        stream: StreamName,
        /// What is wrong.
        what: &'static str,
        /// As it is.
        found: String,
        /// As it must be.
        expected: String,
    },
    /// A batch with nothing to compare.
    #[error("a batch has {found} samples; contrastive learning needs at least 2")]
    BatchTooSmall {
        /// Its samples.
        found: usize,
    },
    /// The source of batches cannot give any.
    #[error("no batches to train on: {0}")]
    Source(String),
    /// The networks refuse.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// libtorch refuses.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    /// Training diverged and going back did not help.
    #[error(
        "the last {steps} steps were not finite, and the run has gone back to a checkpoint {rollbacks} times (train.max_rollbacks); \
         a lower train.learning_rate or train.clip_norm may help. The checkpoints stand"
    )]
    NotFinite {
        /// Steps in a row.
        steps: u64,
        /// Times that the run went back.
        rollbacks: u32,
    },
    /// Training diverged before there was a checkpoint to go back to.
    #[error("the last {steps} steps were not finite, and there is no checkpoint left to go back to")]
    NothingToGoBackTo {
        /// Steps in a row.
        steps: u64,
    },
    /// The last snapshot cannot be written: what was learned since the one before is lost.
    #[error(
        "{source}; what was learned since {}",
        .standing.map_or("the start is lost".to_owned(), |step| format!("step {step} is lost, the checkpoint of that step stands"))
    )]
    LastSnapshot {
        /// Why not.
        source: CheckpointError,
        /// Step of the newest complete one.
        standing: Option<u64>,
    },
    /// A snapshot cannot be read, or the last one cannot be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A snapshot was taken from other networks than are configured.
    #[error("{} holds other networks than are configured: {difference}", path.display())]
    OtherModel {
        /// The snapshot.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// A snapshot's state is of another shape than this run's.
    #[error("{}: {reason}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The thread could not be started.
    #[error("cannot start the trainer's thread: {0}")]
    Thread(io::Error),
    /// Something panicked in the trainer's thread, most likely inside libtorch (out of memory, a CUDA error).
    #[error("the trainer panicked after step {step}: {message}")]
    Panicked {
        /// Steps finished.
        step: u64,
        /// The panic's words.
        message: String,
    },
}

impl TrainError {
    /// Whether what was learned before the error is worth a snapshot.
    pub(super) fn leaves_the_networks_sound(&self) -> bool {
        !matches!(
            self,
            Self::NotFinite { .. }
                | Self::NothingToGoBackTo { .. }
                | Self::LastSnapshot { .. }
                | Self::Checkpoint(_)
        )
    }
}
