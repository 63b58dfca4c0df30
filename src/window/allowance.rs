use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What all streams' windows may hold together, shared out evenly among the streams that there are now. Clones share.
///
/// A source waits for byte credit; were all of it held by windows, nobody would ever give any back.
#[derive(Clone, Debug)]
pub struct WindowAllowance(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total_bytes: usize,
    streams: AtomicUsize,
}

impl WindowAllowance {
    /// So many bytes for all streams together.
    pub fn new(total_bytes: usize) -> Self {
        Self(Arc::new(Shared {
            total_bytes,
            streams: AtomicUsize::new(1),
        }))
    }

    /// There are so many streams now.
    pub fn share_among(&self, streams: usize) {
        self.0.streams.store(streams.max(1), Ordering::Relaxed);
    }

    /// Bytes that one stream's windows may hold now.
    pub fn share_bytes(&self) -> usize {
        (self.0.total_bytes / self.0.streams.load(Ordering::Relaxed)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_shrink_and_grow_with_the_streams_and_never_exceed_the_whole() {
        let allowance = WindowAllowance::new(1000);
        let held = allowance.clone();
        assert_eq!(held.share_bytes(), 1000);
        for streams in [1, 3, 7, 400, 2] {
            allowance.share_among(streams);
            assert!(held.share_bytes() * streams <= 1000);
        }
        assert_eq!(held.share_bytes(), 500);
        allowance.share_among(0);
        assert_eq!(held.share_bytes(), 1000);
    }
}
