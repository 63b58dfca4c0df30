//! A stream actor with a consumer, as the topology has it.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use comove::ingest::{
    AccessUnit, ByteBudget, Fate, FirstNumbers, HostPacer, IngestConfig, IngestItem, Ledger, LedgerSnapshot,
    SegmentEndReason, StreamActor, StreamConfig, StreamMessage, StreamName, StreamParts, StreamReport,
    StreamState, StreamStatus, Templates,
};
use crossbeam_channel::Receiver;
use ractor::{Actor, ActorRef};

/// Nothing here takes so long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Stream {
    pub actor: ActorRef<StreamMessage>,
    pub handle: ractor::concurrency::JoinHandle<()>,
    pub items: Receiver<IngestItem>,
    pub ledger: Ledger,
    pub budget: ByteBudget,
    reports: Arc<Mutex<Vec<StreamReport>>>,
}

/// What a consumer saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub units: Vec<AccessUnit>,
    pub ends: Vec<(u64, SegmentEndReason)>,
    pub ended: bool,
}

/// Settings with short waits.
pub fn quick() -> IngestConfig {
    IngestConfig {
        backoff_first: Duration::from_millis(100),
        backoff_longest: Duration::from_millis(400),
        ..IngestConfig::default()
    }
}

pub fn of_folder(folder: &Path) -> StreamConfig {
    StreamConfig {
        folder: Some(folder.to_owned()),
        ..StreamConfig::default()
    }
}

impl Stream {
    pub async fn spawn(config: StreamConfig, ingest: IngestConfig, room: usize) -> Self {
        let (sender, items) = crossbeam_channel::bounded(room);
        let ledger = Ledger::new();
        let budget = ByteBudget::new(usize::try_from(ingest.memory.as_u64()).unwrap());
        let reports = Arc::new(Mutex::new(Vec::new()));
        let parts = StreamParts {
            name: StreamName::new("test").unwrap(),
            source: config.source("test").unwrap(),
            config,
            templates: Templates::default(),
            ledger: ledger.clone(),
            budget: budget.clone(),
            items: sender,
            pacer: HostPacer::new(Duration::from_millis(50)),
            first: FirstNumbers::default(),
            begin: None,
            wall_clock: Arc::new(|| 7),
            random_seed: 1,
            report: {
                let reports = reports.clone();
                Arc::new(move |report| reports.lock().unwrap().push(report))
            },
            ingest,
        };
        let (actor, handle) = Actor::spawn(None, StreamActor, parts).await.unwrap();
        Self {
            actor,
            handle,
            items,
            ledger,
            budget,
            reports,
        }
    }

    /// Takes items on a thread of its own until `enough`, or until the stream has ended.
    pub async fn take(&self, mut enough: impl FnMut(&Seen) -> bool + Send + 'static) -> Seen {
        let items = self.items.clone();
        let take = move || {
            let mut seen = Seen::default();
            while !seen.ended && !enough(&seen) {
                match items.recv_timeout(PATIENCE).expect("an item in time") {
                    IngestItem::Unit(unit) => {
                        unit.receipt.settle(Fate::Used);
                        seen.units.push(unit);
                    }
                    IngestItem::SegmentEnd { segment, reason } => seen.ends.push((segment, reason)),
                    IngestItem::Ended { .. } => seen.ended = true,
                }
            }
            seen
        };
        tokio::task::spawn_blocking(take).await.unwrap()
    }

    pub async fn take_all(&self) -> Seen {
        self.take(|_| false).await
    }

    pub fn reports(&self) -> Vec<StreamReport> {
        self.reports.lock().unwrap().clone()
    }

    pub fn states(&self) -> Vec<StreamState> {
        self.reports().iter().map(|report| report.state).collect()
    }

    /// Waits for a report that comes behind the first `skip` ones.
    pub async fn wait_for(&self, skip: usize, wanted: impl Fn(&StreamReport) -> bool) -> usize {
        let look = async {
            loop {
                if let Some(at) = self.reports().iter().skip(skip).position(&wanted) {
                    return skip + at + 1;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, look).await;
        found.unwrap_or_else(|_| panic!("no such report: {:#?}", self.reports()))
    }

    pub async fn status(&self) -> StreamStatus {
        *ractor::call!(self.actor, StreamMessage::Status).unwrap()
    }

    /// Asks until the status is as wanted.
    pub async fn status_with(&self, wanted: impl Fn(&StreamStatus) -> bool) -> StreamStatus {
        let ask = async {
            loop {
                let status = self.status().await;
                if wanted(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ask)
            .await
            .expect("a status as wanted")
    }

    pub async fn stop(&self) {
        let stop = |reply| StreamMessage::Stop {
            deadline: PATIENCE,
            reply,
        };
        ractor::call!(self.actor, stop).unwrap();
    }

    /// Ends the actor; all units are let go of. The account, which must close with nothing left.
    pub async fn put_down(self) -> LedgerSnapshot {
        self.actor.stop(None);
        self.handle.await.unwrap();
        let items = self.items;
        let drain = move || {
            while !matches!(
                items.recv_timeout(PATIENCE),
                Ok(IngestItem::Ended { .. }) | Err(_)
            ) {}
        };
        tokio::task::spawn_blocking(drain).await.unwrap();
        let account = self.ledger.snapshot();
        assert!(account.closes(), "{account:?}");
        assert_eq!(account.buffered, 0, "{account:?}");
        assert_eq!(self.budget.used_bytes(), 0);
        account
    }
}
