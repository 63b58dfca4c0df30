use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::RunError;

/// The signals that a run obeys: SIGINT and SIGTERM end it in good order, SIGUSR1 asks for a snapshot. SIGHUP asks to read the
/// config again, unless it comes because the terminal was closed: that ends the run in good order too.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// None where it is ignored, as under `nohup`: taking it over would undo that.
    hang_up: Option<Signal>,
    user1: Signal,
    begun_in_a_terminal: bool,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To end: the signal's name.
    End(&'static str),
    /// To write a snapshot.
    Snapshot,
    /// To read the config again.
    Reload,
}

impl Signals {
    /// Takes the signals over from the system's defaults.
    pub fn new() -> Result<Self, RunError> {
        let take = |kind| {
            signal(kind).map_err(|source| RunError::System {
                what: "a signal handler could not be set",
                source,
            })
        };
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
            hang_up: match ignores_hang_up() {
                true => None,
                false => Some(take(SignalKind::hangup())?),
            },
            user1: take(SignalKind::user_defined1())?,
            begun_in_a_terminal: has_terminal(),
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Asked {
        let hung_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = hung_up => {
                // The kernel tells first, and takes the terminal away then.
                tokio::time::sleep(TERMINAL_GOES).await;
                match self.begun_in_a_terminal && !has_terminal() {
                    true => Asked::End("SIGHUP"),
                    false => Asked::Reload,
                }
            }
            _ = self.interrupt.recv() => Asked::End("SIGINT"),
            _ = self.terminate.recv() => Asked::End("SIGTERM"),
            _ = self.user1.recv() => Asked::Snapshot,
        }
    }
}

/// A terminal that is being closed is gone this long after SIGHUP.
const TERMINAL_GOES: Duration = Duration::from_millis(100);

/// Whether this process has a controlling terminal now.
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// Whether this process was started with SIGHUP ignored. Where the system does not say, it was not.
fn ignores_hang_up() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignored_signals(&status) & 1 != 0)
}

/// The set of ignored signals in `/proc/PID/status`: signal 1, SIGHUP, is the lowest bit.
fn ignored_signals(status: &str) -> u64 {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_which_signals_are_ignored() {
        let status = "Name:\tcomove\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert_eq!(ignored_signals(status), 0x1001);
        assert_eq!(ignored_signals("Name:\tcomove\n"), 0);
    }
}
