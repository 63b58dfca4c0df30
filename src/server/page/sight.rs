use std::collections::BTreeMap;
use std::sync::Arc;

/// What the page at `/` shows beyond the API: pictures, and the last hour. Called on blocking threads, from several at once.
///
/// A program that has nothing to show need not implement anything.
pub trait Sight {
    /// The last hour, oldest first.
    fn history(&self) -> Vec<HistoryPoint> {
        Vec::new()
    }

    /// A stream's newest key frame with the motion after it, decoded now. `None`: no such stream, or no key frame yet.
    fn key_frame(&self, _stream: &str) -> Option<KeyFrame> {
        None
    }

    /// A stream's newest samples in replay, the newest first.
    fn samples_of(&self, _stream: &str) -> Vec<SampleCard> {
        Vec::new()
    }

    /// The newest sample that was trained on, and what in replay is most like it by the current features, best first.
    fn neighbours(&self) -> Option<Neighbourhood> {
        None
    }

    /// Pictures of a sample; `None` where replay does not hold it any more.
    fn sample(&self, _id: u64) -> Option<Arc<crate::replay::Sample>> {
        None
    }

    /// Pictures in a sample's clip, and maps in its motion target.
    fn strip_lengths(&self) -> (u32, u32) {
        (1, 1)
    }
}

/// The run at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryPoint {
    /// Seconds since the Unix epoch.
    pub at_unix_s: u64,
    /// The learner, from its first report on.
    pub train: Option<TrainPoint>,
    /// Every stream by name.
    pub streams: BTreeMap<Arc<str>, StreamPoint>,
}

/// The learner at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainPoint {
    /// Optimiser step.
    pub step: u64,
    /// Joint, context and motion loss.
    pub losses: [f64; 3],
    /// Top-1 of context and motion.
    pub top1: [f64; 2],
    /// Samples a second.
    pub samples_per_second: f64,
}

/// A stream's counts at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamPoint {
    /// Access units received.
    pub received: u64,
    /// Access units lost.
    pub dropped: u64,
    /// Samples that replay took.
    pub samples: u64,
}

/// A key frame to look at.
#[derive(Clone, Debug)]
pub struct KeyFrame {
    /// Number of its access unit: another number is another picture.
    pub index: u64,
    /// When it arrived, nanoseconds since the Unix epoch.
    pub arrival_unix_ns: u64,
    /// PNG with the motion as arrows, or why there is none.
    pub picture: Result<Arc<[u8]>, String>,
    /// Whether there was motion to draw.
    pub has_motion: bool,
}

/// A sample as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleCard {
    /// Its id in replay.
    pub id: u64,
    /// The stream that gave it.
    pub stream: String,
    /// When its last picture arrived, nanoseconds since the Unix epoch.
    pub arrival_unix_ns: u64,
}

/// A sample and what is most like it.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbourhood {
    /// The sample.
    pub of: SampleCard,
    /// Others with their cosine similarity, best first.
    pub nearest: Vec<(SampleCard, f32)>,
}
