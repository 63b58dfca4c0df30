use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use comfy_table::Table;
use comove::server::{Client, READ_TOKEN_VARIABLE, StatusView, StreamView, TOKEN_VARIABLE};

use super::Failure;

pub(super) const EXAMPLES: &str = "Examples:
  comove status
  comove status http://10.0.0.5:9464
  comove status --json | jq .train";

/// Say what a running comove does.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Where it serves (its server.listen).
    #[arg(default_value = "http://127.0.0.1:9464")]
    url: String,
    /// File with the read token (or the token) of that comove. Without it the environment variables COMOVE_READ_TOKEN and COMOVE_TOKEN are
    /// looked at.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print the API's answers instead of tables.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatusArgs) -> Result<(), Failure> {
    let client = Client::new(&args.url).with_token(token(args.token_file.as_deref())?);
    let status = client.status().map_err(anyhow::Error::from)?;
    let streams = client.streams().map_err(anyhow::Error::from)?;
    if args.json {
        let mut both = serde_json::to_value(&status).map_err(anyhow::Error::from)?;
        both["streams"] = serde_json::to_value(&streams).map_err(anyhow::Error::from)?;
        say!("{both:#}");
        return Ok(());
    }
    let uptime = std::time::Duration::from_secs(status.uptime_seconds as u64);
    say!(
        "comove {} is {}, up for {}",
        status.version,
        status.state,
        humantime::format_duration(uptime)
    );
    for reason in &status.not_ready {
        say!("not ready: {reason}");
    }
    for stage in status.stages.iter().filter(|stage| !stage.alive) {
        say!(
            "{} gave no sign of life for {:.0} s",
            stage.stage,
            stage.silent_seconds
        );
    }
    say!("{}", streams_table(&streams));
    print_learning(&status);
    Ok(())
}

/// The token to show, if there is any.
fn token(file: Option<&Path>) -> anyhow::Result<Option<String>> {
    if let Some(path) = file {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("--token-file {}", path.display()))?;
        return Ok(Some(text.trim().to_owned()));
    }
    let variables = [READ_TOKEN_VARIABLE, TOKEN_VARIABLE];
    Ok(variables.into_iter().find_map(|name| std::env::var(name).ok()))
}

fn streams_table(streams: &[StreamView]) -> Table {
    let mut table = super::table(["stream", "state", "received", "used", "skipped", "lost", "source"]);
    for stream in streams {
        let account = &stream.account;
        let skipped: u64 = account.skipped.values().sum();
        let lost: Vec<String> = account
            .dropped
            .iter()
            .map(|(reason, units)| format!("{units} {reason}"))
            .collect();
        let lost = if lost.is_empty() {
            "0".to_owned()
        } else {
            lost.join(", ")
        };
        table.add_row([
            stream.name.clone(),
            stream.state.clone(),
            account.received.to_string(),
            account.used.to_string(),
            skipped.to_string(),
            lost,
            stream.source.clone(),
        ]);
    }
    table
}

fn print_learning(status: &StatusView) {
    if let Some(replay) = &status.replay {
        say!(
            "replay   {} samples, {} of {}",
            replay.samples,
            bytesize::ByteSize(replay.bytes),
            bytesize::ByteSize(replay.capacity_bytes)
        );
    }
    if let Some(due) = &status.checkpoint {
        say!("checkpoint {due}");
    }
    if let Some(probe) = &status.probe {
        say!("k-NN probe {probe}");
    }
    let Some(train) = &status.train else {
        say!("training has not reported yet");
        return;
    };
    say!(
        "train    step {} of preset {} on {}, {:.2} steps/s, {:.1} samples/s, loss {:.3}",
        train.step,
        train.preset,
        train.device,
        train.steps_per_second,
        train.samples_per_second,
        train.loss
    );
    for (name, task) in [("context", &train.context), ("motion", &train.motion)] {
        let (top1, chance) = (100.0 * task.top1, 100.0 * task.chance);
        say!(
            "{name:8} top-1 {top1:.1} % (chance {chance:.1} %), loss {:.3}",
            task.loss
        );
    }
}
