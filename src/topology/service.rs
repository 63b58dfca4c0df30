use std::sync::Arc;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;

use super::board::Board;
use crate::server::Daemon;

/// Tells systemd, or whoever set NOTIFY_SOCKET, how the program is. Without that variable every word goes nowhere.
fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Work has begun.
pub(super) fn ready(streams: usize) {
    tell(&[
        NotifyState::Ready,
        NotifyState::Status(&format!("learning from {streams} streams")),
    ]);
}

/// The config is being read again; [`ready`] ends that.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        // systemd wants to know when, so that an old READY does not count.
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager could not be told of the reload"),
    }
}

/// The run ends.
pub(super) fn stopping(reason: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(reason)]);
}

/// Feeds the watchdog, at twice the rate that it wants, while every stage gives signs of life: a trainer or a stream that hangs
/// lets it bite. None where no watchdog is set.
pub(super) fn feed_watchdog(board: Arc<Board>) -> Option<JoinHandle<()>> {
    let every = sd_notify::watchdog_enabled().filter(|every| !every.is_zero())? / 2;
    Some(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(every);
        loop {
            ticks.tick().await;
            let complaints: Vec<_> = board
                .pulses()
                .iter()
                .filter_map(|pulse| pulse.complaint())
                .collect();
            match complaints.is_empty() {
                true => tell(&[NotifyState::Watchdog]),
                false => tracing::error!(?complaints, "the watchdog is not fed"),
            }
        }
    }))
}
