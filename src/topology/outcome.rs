use super::board::Board;
use super::entry::StreamEntry;
use crate::ingest::{DropReason, Fate};
use crate::server::AccountView;
use crate::train::TrainSummary;

/// How a run ended.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// What ended it.
    pub reason: String,
    /// How training went.
    pub train: TrainSummary,
    /// How each stream ended.
    pub streams: Vec<StreamOutcome>,
}

/// A stream when the run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamOutcome {
    /// Its name.
    pub name: String,
    /// Its access units.
    pub account: AccountView,
    /// Samples that replay took from it, over all runs that led here.
    pub samples: u64,
    /// Videos too short for one sample.
    pub short_videos: u64,
    /// What failed last.
    pub last_failure: Option<String>,
}

impl StreamOutcome {
    /// Access units that nobody settled: a defect in comove.
    pub fn unsettled(&self) -> u64 {
        let label = Fate::Dropped(DropReason::Unsettled).label();
        self.account.dropped.get(label).copied().unwrap_or(0)
    }
}

pub(super) fn outcome(entry: &StreamEntry, board: &Board) -> StreamOutcome {
    StreamOutcome {
        name: entry.name.to_string(),
        account: AccountView::from(&entry.ledger.snapshot()),
        samples: board.provenance.samples(&entry.name),
        short_videos: entry.scout().chooser.short_videos,
        last_failure: entry.state().1,
    }
}

pub(super) fn why_nothing(streams: &[StreamOutcome], reason: &str) -> String {
    let each = streams.iter().map(|stream| {
        let failure = stream
            .last_failure
            .as_ref()
            .map(|why| format!(", {why}"))
            .unwrap_or_default();
        format!(
            "stream {}: {} access units, {} samples, {} videos too short{failure}",
            stream.name, stream.account.received, stream.samples, stream.short_videos
        )
    });
    format!("{reason}; {}", each.collect::<Vec<_>>().join("; "))
}
