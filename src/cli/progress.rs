//! `comove run` on a terminal: a few lines at the bottom that say how it goes, under the log.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use comove::server::{Daemon, StatusView, StreamView};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// From one look to the next.
const EVERY: Duration = Duration::from_millis(500);

/// The lines at the bottom; there are none where standard error is no terminal.
#[derive(Clone)]
pub(super) struct Progress(Option<MultiProgress>);

impl Progress {
    /// Lines on standard error, if that is a terminal and `wanted`.
    pub fn new(wanted: bool) -> Self {
        let shown = wanted && io::stderr().is_terminal();
        Self(shown.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(4))))
    }

    /// Standard error for log lines: they go above the lines, never through them.
    pub fn log_lines(&self) -> LogLines {
        LogLines(self.0.clone())
    }

    /// Follows a run until [`Following`] is dropped.
    pub fn follow(&self, daemon: Arc<dyn Daemon>) -> Option<Following> {
        let lines = self.0.clone()?;
        let (stop, stopped) = bounded(0);
        let thread = std::thread::Builder::new()
            .name("progress".into())
            .spawn(move || {
                let shown = Shown::on(&lines, daemon.status().probe.is_some());
                let mut before = None;
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
                    let now = Look::at(&*daemon);
                    shown.show(&now, before.as_ref());
                    before = Some(now);
                }
                shown.clear();
            });
        match thread {
            Ok(thread) => Some(Following {
                stop: Some(stop),
                thread: Some(thread),
            }),
            Err(error) => {
                tracing::warn!(%error, "no thread for live progress");
                None
            }
        }
    }
}

/// A run that is being followed; the lines go when this is dropped.
pub(super) struct Following {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Following {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("live progress had failed");
        }
    }
}

/// Writes log lines to standard error, with the lines at the bottom out of the way.
#[derive(Clone)]
pub(super) struct LogLines(Option<MultiProgress>);

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A whole log line comes in one call.
        match &self.0 {
            Some(lines) => lines.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// What a look at a run gives.
struct Look {
    status: StatusView,
    received: u64,
    dropped: u64,
}

impl Look {
    fn at(daemon: &dyn Daemon) -> Self {
        let streams = daemon.streams();
        let dropped = |stream: &StreamView| stream.account.dropped.values().sum::<u64>();
        Self {
            status: daemon.status(),
            received: streams.iter().map(|stream| stream.account.received).sum(),
            dropped: streams.iter().map(dropped).sum(),
        }
    }
}

struct Shown {
    streams: ProgressBar,
    learning: ProgressBar,
    /// Where a folder to probe with is configured.
    probe: Option<ProgressBar>,
    checkpoint: ProgressBar,
}

impl Shown {
    fn on(lines: &MultiProgress, probed: bool) -> Self {
        let text = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressStyle::with_template("checkpoint  {bar:30} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let add = |style: &ProgressStyle| lines.add(ProgressBar::new(1).with_style(style.clone()));
        Self {
            streams: add(&text),
            learning: add(&text),
            probe: probed.then(|| add(&text)),
            checkpoint: add(&bar),
        }
    }

    fn show(&self, now: &Look, before: Option<&Look>) {
        self.streams.set_message(streams_line(now, before));
        self.learning.set_message(learning_line(&now.status));
        if let (Some(line), Some(probe)) = (&self.probe, &now.status.probe) {
            line.set_message(format!("k-NN probe  {probe}"));
        }
        if let Some(checkpoint) = &now.status.checkpoint {
            self.checkpoint.set_length(checkpoint.every_seconds.ceil() as u64);
            self.checkpoint
                .set_position(checkpoint.age_seconds.min(checkpoint.every_seconds) as u64);
            self.checkpoint.set_message(checkpoint.to_string());
        }
        for line in self.lines() {
            line.tick();
        }
    }

    fn lines(&self) -> impl Iterator<Item = &ProgressBar> {
        let upper = [&self.streams, &self.learning].into_iter();
        upper.chain(&self.probe).chain([&self.checkpoint])
    }

    fn clear(&self) {
        for line in self.lines() {
            line.finish_and_clear();
        }
    }
}

fn streams_line(now: &Look, before: Option<&Look>) -> String {
    let mut line = format!("streams     {}", states(&now.status.streams));
    if let Some(before) = before {
        let seconds = (now.status.uptime_seconds - before.status.uptime_seconds).max(0.001);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        line += &format!(
            "   {:.0} access units/s, {:.0} lost/s",
            rate(now.received, before.received),
            rate(now.dropped, before.dropped)
        );
    }
    line
}

/// `3 running, 1 backing off`.
pub(super) fn states(streams: &BTreeMap<String, usize>) -> String {
    let each = streams
        .iter()
        .map(|(state, count)| format!("{count} {}", state.replace('_', " ")));
    each.collect::<Vec<_>>().join(", ")
}

fn learning_line(status: &StatusView) -> String {
    let Some(train) = &status.train else {
        let samples = status.replay.as_ref().map_or(0, |replay| replay.samples);
        return format!("learning    waits for samples, replay holds {samples}");
    };
    format!(
        "learning    step {}   {:.2} steps/s, {:.1} samples/s   loss {:.3}, context {:.3}, motion {:.3}",
        train.step,
        train.steps_per_second,
        train.samples_per_second,
        train.loss,
        train.context.loss,
        train.motion.loss
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_as_people_say_them() {
        let streams = [("running".to_owned(), 3), ("backing_off".to_owned(), 1)].into();
        assert_eq!(states(&streams), "1 backing off, 3 running");
    }
}
