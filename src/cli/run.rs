use std::time::SystemTime;

use clap::Args;
use comove::telemetry::{LogFormat, start_log_to};
use comove::topology::{self, RunSummary};

use super::progress::Progress;
use super::{ConfigArgs, Failure};

pub(super) const EXAMPLES: &str = "Examples:
  comove run video.mp4 archive/                     learn from a file and a folder until both are over
  comove run rtsp://camera/stream1 --max-duration 8h
  comove run -c config/cameras.toml --resume=if-present   as a service
  comove run synthetic: --max-steps 200             no video at hand

Signals: SIGINT and SIGTERM end the run in good order (a second one at once), SIGHUP reads the config again, SIGUSR1 writes a
checkpoint.";

/// Learn from streams, until they are over or told to stop.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let source = args.config.source();
    let config = source.load()?;
    // Whoever asks for plain or JSON lines on a terminal wants nothing between them.
    let progress = Progress::new(matches!(config.log.format, LogFormat::Auto | LogFormat::Human));
    let lines = progress.log_lines();
    start_log_to(&config.log, move || lines.clone())?;
    let began = SystemTime::now();
    let mut following = None;
    let ended = topology::run_watched(config, source, |daemon| following = progress.follow(daemon));
    drop(following);
    tell(&ended?, began);
    Ok(())
}

fn tell(summary: &RunSummary, began: SystemTime) {
    let took = began.elapsed().unwrap_or_default().as_secs();
    say!("ended after {took} s: {}", summary.reason);
    for stream in &summary.streams {
        let short = match stream.short_videos {
            0 => String::new(),
            videos => format!(", {videos} videos too short for one"),
        };
        let failure = stream
            .last_failure
            .as_ref()
            .map(|why| format!("; {why}"))
            .unwrap_or_default();
        say!(
            "  {}: {} access units, {} samples{short}{failure}",
            stream.name,
            stream.account.received,
            stream.samples
        );
    }
    let train = &summary.train;
    say!(
        "  {} steps, {} of them in this run",
        train.step,
        train.steps_taken
    );
    if let Some(report) = &train.report {
        say!(
            "  loss {:.3}; top-1 {}",
            report.loss,
            [
                top1("context", report.context_top1, report.context_chance),
                top1("motion", report.motion_top1, report.motion_chance),
            ]
            .join(", ")
        );
    }
    if let Some(snapshot) = &train.snapshot {
        say!("  checkpoint {}", snapshot.path.display());
    }
}

fn top1(task: &str, top1: f64, chance: f64) -> String {
    match top1.is_finite() {
        true => format!("of {task} {top1:.3} (chance {chance:.3})"),
        false => format!("of {task} not known: nothing in its batches to compare with"),
    }
}
