use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::limiter::LimiterRecord;
use super::Replay;
use crate::replay::{LossReason, StoredSample, StreamCursor};

/// Replay at one instant, for a checkpoint: a list of shared samples and small state.
#[derive(Clone, Debug)]
pub struct ReplayContent {
    /// Everything but the samples.
    pub state: ReplayState,
    /// What the policies know about the stored samples beside their order; opaque. Of no use without these samples.
    pub policies: PolicyState,
    /// The stored samples, oldest first.
    pub samples: Vec<StoredSample>,
}

/// Replay's samples as a checkpoint gives them back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredSamples {
    /// Oldest first.
    pub samples: Vec<StoredSample>,
    /// What the policies know about them.
    pub policies: PolicyState,
    /// Samples that the checkpoint names and the disk does not have any more.
    pub missing: u64,
}

/// The state of the policies in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyState {
    /// Of [`Eviction`](crate::replay::Eviction).
    pub eviction: Value,
    /// Of [`Sampling`](crate::replay::Sampling).
    pub sampling: Value,
    /// Which samples were never drawn, and the features of those that were.
    #[serde(default)]
    pub uses: Value,
}

/// Counters, limiter, random generator and the streams' cursors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayState {
    /// Draws batches, and what is random about eviction.
    rng: ChaCha8Rng,
    next_id: u64,
    inserted: u64,
    sampled: u64,
    evicted: u64,
    refused: u64,
    not_kept: u64,
    batches: u64,
    batches_repeating_segments: u64,
    /// `inserted` and `sampled` where the final phase, after all sources, counts from.
    counted_from: (u64, u64),
    limiter: LimiterRecord,
    streams: BTreeMap<String, StreamCursor>,
    /// In a fixed order: whose turn it is.
    turn: Option<String>,
    /// The run came to its planned end: all sources were over, and trained on as often as configured.
    finished: bool,
}

impl ReplayState {
    /// How far a stream has come.
    pub fn cursor(&self, stream: &str) -> Option<&StreamCursor> {
        self.streams.get(stream)
    }
}

impl Replay {
    /// All of it at one instant; `beside` runs while nothing can arrive. `finished`: the run came to its planned end.
    pub fn export(&self, finished: bool, beside: impl FnOnce()) -> ReplayContent {
        let inner = self.lock();
        beside();
        let (streams, turn) = inner.arrivals.export();
        ReplayContent {
            state: ReplayState {
                rng: inner.rng.clone(),
                next_id: inner.next_id,
                inserted: inner.inserted,
                sampled: inner.sampled,
                evicted: inner.evicted,
                refused: inner.refused,
                not_kept: inner.not_kept,
                batches: inner.batches,
                batches_repeating_segments: inner.batches_repeating_segments,
                counted_from: inner.resumed,
                limiter: inner.limiter.export(),
                streams,
                turn,
                finished,
            },
            policies: inner.table.export_policies(),
            samples: inner.table.all().cloned().collect(),
        }
    }

    /// Goes on where an earlier run was, before anything arrives. Without its samples (`None`) totals, ids, the random generator
    /// and the streams' places are taken over, and the limiter starts anew: whatever was owed, nobody could pay it.
    ///
    /// What does not fit the capacity any more is let go, the oldest first; policies of another kind than before learn of the
    /// samples in the order of their ids. Both are told in the log.
    pub fn import(&self, state: ReplayState, content: Option<StoredSamples>) {
        let mut inner = self.lock();
        let this = &mut *inner;
        this.rng = state.rng;
        this.next_id = this.next_id.max(state.next_id);
        this.inserted = state.inserted;
        this.sampled = state.sampled;
        this.evicted = state.evicted;
        this.refused = state.refused;
        this.not_kept = state.not_kept;
        this.batches = state.batches;
        this.batches_repeating_segments = state.batches_repeating_segments;
        this.resumed = match state.finished || content.is_none() {
            true => (state.inserted, state.sampled),
            false => state.counted_from,
        };
        this.arrivals
            .import(&state.streams, state.turn.as_deref(), state.finished);
        if let Some(content) = content {
            if content.missing > 0 {
                tracing::error!(
                    missing = content.missing,
                    "samples that the checkpoint names are not on disk any more; it goes on without them"
                );
                this.count_lost(LossReason::Missing, content.missing);
            }
            let let_go = this.table.import(content.samples, content.policies);
            if let_go > 0 {
                tracing::warn!(
                    let_go,
                    "replay.capacity is smaller than it was: the oldest samples went"
                );
                this.evicted += let_go;
            }
            this.limiter.import(&state.limiter, &self.config);
            if content.missing > 0 {
                this.limiter.lost(this.table.len());
            }
        }
        drop(inner);
        self.stored.notify_all();
    }
}
