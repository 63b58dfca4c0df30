use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::table::{Kind, Metric, TABLE};
use super::{Exposition, process, table};

/// How often [`Registry::keep_up`] empties histograms. Their samples pile up in between.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

type Collector = Box<dyn Fn(&mut Exposition) + Send + Sync>;

/// Every metric of one process: handles that stages count with, and collectors that are asked at each scrape.
///
/// Passed around, not global: two of them in one test binary do not see each other. Clones share.
#[derive(Clone)]
pub struct Registry(Arc<Shared>);

struct Shared {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    collectors: Mutex<Vec<Collector>>,
}

const METADATA: Metadata<'static> = Metadata::new("comove", Level::INFO, None);

impl Registry {
    /// A registry that knows the whole table and collects the figures of this process, which started at `now`.
    pub fn new(now: SystemTime) -> Self {
        let mut builder = PrometheusBuilder::new();
        for metric in TABLE {
            if let Kind::Histogram(buckets) = metric.kind {
                builder = match builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
                {
                    Ok(builder) => builder,
                    // Only empty buckets are refused; the table's test proves that there are none.
                    Err(error) => panic!("buckets of {}: {error}", metric.name),
                };
            }
        }
        let recorder = builder.build_recorder();
        for metric in TABLE {
            let name = KeyName::from_const_str(metric.name);
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, metric.help.into()),
                Kind::Gauge => recorder.describe_gauge(name, None, metric.help.into()),
                Kind::Histogram(_) => recorder.describe_histogram(name, None, metric.help.into()),
            }
        }
        let registry = Self(Arc::new(Shared {
            handle: recorder.handle(),
            recorder,
            collectors: Mutex::new(Vec::new()),
        }));
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        registry
            .gauge(&table::PROCESS_START, &[])
            .set(since_epoch.as_secs_f64());
        registry
            .gauge(&table::BUILD_INFO, &[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        registry.collect_with(process::collect);
        registry
    }

    /// Asks `collector` at every scrape from now on. It must not block, and no other collector may write the same series.
    pub fn collect_with(&self, collector: impl Fn(&mut Exposition) + Send + Sync + 'static) {
        self.0
            .collectors
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .push(Box::new(collector));
    }

    /// The page for Prometheus, text format 0.0.4. Collectors are asked first, one scrape at a time.
    pub fn render(&self) -> String {
        let mut page = Exposition::default();
        let collectors = self
            .0
            .collectors
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        for collector in collectors.iter() {
            collector(&mut page);
        }
        let mut text = page.render();
        text.push_str(&self.0.handle.render());
        text
    }

    /// Empties histograms every few seconds, until dropped: without it they grow while nobody scrapes. Spawn it once.
    pub async fn keep_up(self) {
        let mut tick = tokio::time::interval(UPKEEP_EVERY);
        loop {
            tick.tick().await;
            self.0.handle.run_upkeep();
        }
    }

    pub(super) fn counter(&self, metric: &Metric, labels: &[&str]) -> Counter {
        debug_assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
        self.0.recorder.register_counter(&key(metric, labels), &METADATA)
    }

    pub(super) fn gauge(&self, metric: &Metric, labels: &[&str]) -> Gauge {
        debug_assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
        self.0.recorder.register_gauge(&key(metric, labels), &METADATA)
    }

    pub(super) fn histogram(&self, metric: &Metric, labels: &[&str]) -> Histogram {
        debug_assert!(matches!(metric.kind, Kind::Histogram(_)), "{}", metric.name);
        self.0
            .recorder
            .register_histogram(&key(metric, labels), &METADATA)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}

fn key(metric: &Metric, labels: &[&str]) -> Key {
    assert_eq!(metric.labels.len(), labels.len(), "labels of {}", metric.name);
    let labels = metric.labels.iter().zip(labels);
    Key::from_parts(
        metric.name,
        labels
            .map(|(name, value)| Label::new(*name, (*value).to_owned()))
            .collect::<Vec<_>>(),
    )
}
