//! A scout on a stream, with real decoders and a replay that takes everything.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "test code")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use comove::decode::{DecodeConfig, DecodePool};
use comove::ingest::{AccessUnit, IngestItem, Ledger, SegmentEndReason, StreamName, Templates, UnitReader};
use comove::replay::{Replay, ReplayConfig, Sample, StreamCursor};
use comove::window::{
    FrameSize, Pace, SampleSpec, ScoutEnd, ScoutHandle, ScoutParts, ScoutSnapshot, WindowAllowance,
    WindowConfig, spawn_scout,
};
use crossbeam_channel::Sender;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub const SPEC: SampleSpec = SampleSpec {
    clip_frames: 8,
    clip_stride: 2,
    target_offset: 1,
    target_frames: 4,
    hard_negatives: 3,
    key_frame_margin: 5,
    frame_size: FrameSize {
        width: 96,
        height: 72,
    },
    motion_size: FrameSize {
        width: 48,
        height: 36,
    },
};

/// A replay that takes everything and gives it all back.
pub fn roomy_replay() -> Arc<Replay> {
    let config = ReplayConfig {
        min_samples: 1,
        final_samples_per_insert: Some(f64::INFINITY),
        tolerance: Some(1e9),
        ..ReplayConfig::default()
    };
    Arc::new(Replay::new(&config, 512, ChaCha8Rng::seed_from_u64(1)).unwrap())
}

/// Everything that a replay holds, by id.
pub fn stored(replay: &Replay) -> Vec<Arc<Sample>> {
    replay.sources_ended();
    match replay.snapshot().samples {
        0 => Vec::new(),
        stored => {
            let mut all = replay.sample_batch(stored, Duration::ZERO).unwrap();
            all.sort_by_key(|sample| sample.id);
            all
        }
    }
}

/// A running scout and the way into it.
pub struct Scouted {
    pub scout: ScoutHandle,
    pub items: Sender<IngestItem>,
    pub ledger: Ledger,
}

impl Scouted {
    pub fn start(pool: &DecodePool, replay: &Arc<Replay>, pace: Pace) -> Self {
        Self::with_clock(pool, replay, pace, || 0)
    }

    pub fn with_clock(
        pool: &DecodePool,
        replay: &Arc<Replay>,
        pace: Pace,
        wall_clock: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        let (items, received) = crossbeam_channel::bounded(8);
        let scout = spawn_scout(ScoutParts {
            stream: StreamName::new("door").unwrap(),
            pace,
            spec: SPEC,
            config: WindowConfig {
                cadence_frames: Some(7),
                ..WindowConfig::default()
            },
            items: received,
            decoders: pool.queue(),
            replay: replay.clone(),
            allowance: WindowAllowance::new(1 << 30),
            rng: ChaCha8Rng::seed_from_u64(2),
            wall_clock: Arc::new(wall_clock),
            cursor: StreamCursor::default(),
        })
        .unwrap();
        Self {
            scout,
            items,
            ledger: Ledger::new(),
        }
    }

    /// Sends a unit, booked in this stream's ledger.
    pub fn send(&self, mut unit: AccessUnit) {
        unit.receipt = self.ledger.receive(unit.data.len());
        self.items.send(IngestItem::Unit(unit)).unwrap();
    }

    /// Ends the stream in good order and waits for the scout.
    pub fn finish(self) -> (Ledger, ScoutSnapshot) {
        let segment_end = IngestItem::SegmentEnd {
            segment: 0,
            reason: SegmentEndReason::EndOfSource,
        };
        self.items.send(segment_end).unwrap();
        self.items.send(IngestItem::Ended { over: true }).unwrap();
        assert_eq!(self.scout.thread.join().unwrap(), ScoutEnd::Ended);
        (self.ledger, self.scout.watch.snapshot())
    }
}

/// The access units of a file.
pub fn units(path: &Path) -> impl Iterator<Item = AccessUnit> {
    UnitReader::open_file(path, &Templates::default())
        .unwrap()
        .map(Result::unwrap)
}

/// All samples of a file, its account, and what the scout says.
pub fn samples(path: &Path) -> (Vec<Arc<Sample>>, Ledger, ScoutSnapshot) {
    let replay = roomy_replay();
    let pool = DecodePool::start(&DecodeConfig::default()).unwrap();
    let scouted = Scouted::start(&pool, &replay, Pace::File);
    units(path).for_each(|unit| scouted.send(unit));
    let (ledger, snapshot) = scouted.finish();
    pool.close();
    (stored(&replay), ledger, snapshot)
}
