use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::{Duration, Instant};

use crate::ingest::{Ledger, StreamName, StreamOrigin, StreamReport, StreamState, StreamStatus};
use crate::server::{AccountView, StreamView};
use crate::telemetry::{self, Exposition, Pulse};
use crate::window::{Glimpse, ScoutSnapshot, ScoutWatch};

/// How long a stream's actor may leave the question how it is unanswered.
const ACTOR_SILENCE: Duration = Duration::from_secs(30);

/// One stream as the outside sees it; what stays when its group is started again or its entry changed.
pub(super) struct StreamEntry {
    pub name: StreamName,
    pub ledger: Ledger,
    seen: Mutex<Seen>,
}

/// What a stream's entry in the config says about it.
#[derive(Clone)]
pub(super) struct About {
    /// Without credentials.
    pub source: String,
    pub origin: StreamOrigin,
    /// Told to run.
    pub enabled: bool,
}

struct Seen {
    about: About,
    report: Option<StreamReport>,
    last_failure: Option<String>,
    /// What the present actor said last, and when; none before its first word.
    status: Option<StreamStatus>,
    told_at: Option<Instant>,
    /// What the actors before it counted.
    before: Counted,
    scout: Option<ScoutWatch>,
    group_restarts: u64,
}

/// What an actor counts.
#[derive(Clone, Default)]
struct Counted {
    restarts: BTreeMap<&'static str, u64>,
    failed_files: u64,
    passes: u64,
    leaked_pipelines: u64,
    segments: u64,
}

impl Counted {
    fn and(&self, status: Option<&StreamStatus>) -> Self {
        let mut sum = self.clone();
        if let Some(status) = status {
            for (reason, times) in &status.restarts {
                *sum.restarts.entry(reason).or_default() += times;
            }
            sum.failed_files += status.failed_files;
            sum.passes += status.passes;
            sum.leaked_pipelines += status.leaked_pipelines;
            sum.segments += status.segments;
        }
        sum
    }
}

impl StreamEntry {
    pub fn new(name: StreamName, about: About) -> Self {
        Self {
            name,
            ledger: Ledger::new(),
            seen: Mutex::new(Seen {
                about,
                report: None,
                last_failure: None,
                status: None,
                told_at: None,
                before: Counted::default(),
                scout: None,
                group_restarts: 0,
            }),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Its entry in the config is another one now.
    pub fn change(&self, about: About) {
        self.seen().about = about;
    }

    /// A group begins: what the one before it counted is kept.
    pub fn begin_group(&self, scout: ScoutWatch) {
        let mut seen = self.seen();
        seen.before = seen.before.and(seen.status.as_ref());
        (seen.status, seen.told_at, seen.report) = (None, None, None);
        seen.scout = Some(scout);
    }

    pub fn reported(&self, report: StreamReport) {
        let mut seen = self.seen();
        if report.failed || matches!(report.state, StreamState::Stalled | StreamState::BackingOff) {
            seen.last_failure = Some(report.reason.clone());
        }
        seen.report = Some(report);
    }

    pub fn told(&self, status: StreamStatus, now: Instant) {
        let mut seen = self.seen();
        (seen.status, seen.told_at) = (Some(status), Some(now));
    }

    /// Nobody answers for it any more, and nobody need.
    pub fn group_ended(&self) {
        self.seen().told_at = None;
    }

    pub fn group_failed(&self) {
        self.seen().group_restarts += 1;
    }

    /// Times that its source or its group was started again after a failure.
    pub fn reconnects(&self) -> u64 {
        let seen = self.seen();
        let counted = seen.before.and(seen.status.as_ref());
        counted.restarts.values().sum::<u64>() + seen.group_restarts
    }

    pub fn about(&self) -> About {
        self.seen().about.clone()
    }

    /// The state, and the last failure.
    pub fn state(&self) -> (StreamState, Option<String>) {
        let seen = self.seen();
        (state_of(&seen), seen.last_failure.clone())
    }

    /// What its scout did since the group started last.
    pub fn scout(&self) -> ScoutSnapshot {
        let scout = self.seen().scout.clone();
        scout.map(|scout| scout.snapshot()).unwrap_or_default()
    }

    /// Its newest key frame, and what follows it.
    pub fn glimpse(&self) -> Option<Glimpse> {
        let scout = self.seen().scout.clone();
        scout.and_then(|scout| scout.glimpse())
    }

    /// Its actor's sign of life, where that is overdue.
    pub fn overdue(&self, now: Instant) -> Option<Pulse> {
        let silence = now.saturating_duration_since(self.seen().told_at?);
        (silence > ACTOR_SILENCE).then(|| Pulse {
            stage: format!("stream {}", self.name),
            silence,
            silence_allowed: ACTOR_SILENCE,
        })
    }

    pub fn view(&self) -> StreamView {
        let seen = self.seen();
        let counted = seen.before.and(seen.status.as_ref());
        let status = seen.status.as_ref();
        let origin = match &seen.about.origin {
            StreamOrigin::Config => "config",
            StreamOrigin::File(_) => "stream_folder",
            StreamOrigin::CommandLine => "command_line",
            StreamOrigin::Api => "api",
        };
        let report = seen.report.as_ref();
        let mut restarts = counted.restarts;
        restarts.insert("group", seen.group_restarts);
        restarts.retain(|_, times| *times > 0);
        StreamView {
            name: self.name.to_string(),
            source: seen.about.source.clone(),
            origin: origin.to_owned(),
            enabled: seen.about.enabled,
            state: state_of(&seen).label().to_owned(),
            reason: report.map(|report| report.reason.clone()),
            since: report.map(|report| rfc3339(report.since_unix_ns)),
            last_error: seen.last_failure.clone(),
            place: status.and_then(|status| status.place.clone()),
            width: status.and_then(|status| status.size).map(|(width, _)| width),
            height: status.and_then(|status| status.size).map(|(_, height)| height),
            waiting: status.is_some_and(|status| status.waiting),
            restarts: restarts.values().sum(),
            restarts_by_reason: restarts
                .into_iter()
                .map(|(reason, times)| (reason.to_owned(), times))
                .collect(),
            segments: counted.segments,
            failed_files: counted.failed_files,
            pipelines_left: counted.leaked_pipelines,
            account: AccountView::from(&self.ledger.snapshot()),
        }
    }

    pub fn collect(&self, page: &mut Exposition) {
        telemetry::collect_ledger(page, &self.name, &self.ledger.snapshot());
        let seen = self.seen();
        let counted = seen.before.and(seen.status.as_ref());
        let (state, group_restarts) = (state_of(&seen), seen.group_restarts);
        let pipelines_hanging = seen.status.as_ref().map_or(0, |status| status.hanging_pipelines);
        drop(seen);
        let source = telemetry::SourceCounts {
            restarts: counted.restarts,
            group_restarts,
            failed_files: counted.failed_files,
            passes: counted.passes,
            pipelines_left: counted.leaked_pipelines,
            pipelines_hanging,
            segments: counted.segments,
        };
        telemetry::collect_stream(page, &self.name, state, &source);
        telemetry::collect_scout(page, &self.name, &self.scout());
    }
}

fn state_of(seen: &Seen) -> StreamState {
    let begun = match seen.about.enabled {
        true => StreamState::Starting,
        false => StreamState::Disabled,
    };
    seen.report.as_ref().map_or(begun, |report| report.state)
}

fn rfc3339(unix_ns: u64) -> String {
    let at = std::time::UNIX_EPOCH + Duration::from_millis(unix_ns / 1_000_000);
    humantime::format_rfc3339_millis(at).to_string()
}

/// Every stream that there is now. Clones share.
#[derive(Clone, Default)]
pub(super) struct Register(Arc<RwLock<Vec<Arc<StreamEntry>>>>);

impl Register {
    /// In the config's order, then in that of their coming.
    pub fn all(&self) -> Vec<Arc<StreamEntry>> {
        self.0
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .clone()
    }

    pub fn add(&self, entry: Arc<StreamEntry>) {
        self.0
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .push(entry);
    }

    pub fn remove(&self, name: &StreamName) {
        self.0
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .retain(|entry| entry.name != *name);
    }
}
