use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;

use crate::train::{VideoWeights, WeightTaker};

/// The trainer's end of the way to the probe's thread. Dropped, it ends that thread.
#[derive(Debug)]
pub struct HandOver {
    pub(super) wanted: Arc<AtomicBool>,
    pub(super) over: Arc<AtomicBool>,
    /// Holds one: there is never a second before the first was asked for.
    pub(super) weights: Sender<VideoWeights>,
}

impl WeightTaker for HandOver {
    fn wants(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    fn take(&mut self, weights: VideoWeights) {
        self.wanted.store(false, Ordering::Release);
        // The thread has ended, or would not have asked: nothing is lost that anybody waits for.
        let _ = self.weights.try_send(weights);
    }
}

impl Drop for HandOver {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
    }
}
