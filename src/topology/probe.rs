use std::sync::Arc;

use super::RunError;
use super::board::{Board, TrainBoard};
use crate::config::Config;
use crate::probe::{HandOver, ProbeEvent, ProbeFailure, ProbeThread, Prober};
use crate::server::{ProbeFigures, ProbeView};
use crate::telemetry::{ProbeMetrics, Registry};

/// Lists and checks the probe folder, where one is configured.
pub(super) fn open_probe(config: &Config) -> Result<Option<(Prober, HandOver)>, RunError> {
    let Some(dir) = &config.probe.dir else {
        return Ok(None);
    };
    let opened = Prober::open(dir, &config.probe, config.train.model());
    Ok(Some(opened.map_err(RunError::Probe)?))
}

/// Starts the probe's thread, which says what it finds to log, metrics and board.
pub(super) fn start_probe(
    prober: Prober,
    board: Arc<Board>,
    registry: &Registry,
) -> Result<ProbeThread, RunError> {
    let (videos, classes) = (prober.videos(), prober.classes());
    let metrics = ProbeMetrics::new(registry, videos);
    board.probed(|train| {
        train.probe = Some(ProbeView {
            videos: videos as u64,
            classes: classes as u64,
            ..ProbeView::default()
        });
    });
    let follow = move |event| {
        tell(&event);
        count(&metrics, &event);
        board.probed(|train| book(train, event));
    };
    prober.start(follow).map_err(|source| RunError::System {
        what: "the probe's thread did not start",
        source,
    })
}

fn tell(event: &ProbeEvent) {
    match event {
        ProbeEvent::Ready {
            videos,
            unreadable,
            bytes,
        } => {
            for (video, reason) in unreadable {
                tracing::warn!(video, reason, "a video of the probe folder is left out");
            }
            tracing::info!(videos, bytes, "the probe folder is decoded");
        }
        ProbeEvent::Judged {
            step, figures, took, ..
        } => tracing::info!(
            step,
            accuracy = format_args!("{:.3}", figures.accuracy),
            chance = format_args!("{:.3}", figures.chance),
            videos = figures.queries,
            seconds = format_args!("{:.1}", took.as_secs_f64()),
            "probed"
        ),
        ProbeEvent::Failed {
            failure: failure @ (ProbeFailure::Features | ProbeFailure::Network),
            message,
            ..
        } => tracing::warn!(
            reason = failure.label(),
            message,
            "a probe came to nothing; the next tries again"
        ),
        ProbeEvent::Failed { failure, message, .. } => {
            tracing::error!(reason = failure.label(), message, "a probe came to nothing");
        }
    }
}

fn count(metrics: &ProbeMetrics, event: &ProbeEvent) {
    match event {
        ProbeEvent::Ready {
            videos, unreadable, ..
        } => metrics.videos(*videos, unreadable.len()),
        ProbeEvent::Judged {
            step,
            figures,
            took,
            copied_in,
        } => metrics.judged(*step, figures, *took, *copied_in),
        ProbeEvent::Failed {
            failure,
            took,
            copied_in,
            ..
        } => metrics.failed(*failure, *took, *copied_in),
    }
}

fn book(train: &mut TrainBoard, event: ProbeEvent) {
    let view = train.probe.get_or_insert_default();
    match event {
        ProbeEvent::Ready {
            videos,
            unreadable,
            bytes,
        } => {
            view.videos = videos as u64;
            view.unreadable = unreadable.len() as u64;
            train.probe_bytes = bytes;
        }
        ProbeEvent::Judged {
            step, figures, took, ..
        } => {
            view.failure = None;
            view.last = Some(ProbeFigures {
                step,
                accuracy: figures.accuracy,
                chance: figures.chance,
                queries: figures.queries as u64,
                seconds: took.as_secs_f64(),
            });
        }
        ProbeEvent::Failed { message, .. } => view.failure = Some(message),
    }
}
