use std::time::Duration;

use clap::Args;
use comove::config::Config;
use comove::decode::DecodePool;
use comove::eval::HeldList;
use comove::ingest::{Probe, SourceKind, StreamConfig, Templates, probe, resolve_streams};
use comove::server::check_token;

use super::{ConfigArgs, Failure};

pub(super) const EXAMPLES: &str = "Examples:
  comove check -c config/cameras.toml            is it right, is everything installed, can the files be read?
  comove check -c config/cameras.toml --open     open the network sources too
  comove check -c config/cameras.toml --resolved show the whole config in force, without credentials";

/// How long a source may take to give its first access unit.
const PROBE_PATIENCE: Duration = Duration::from_secs(20);

/// Say whether a config is right and can work here, without running it.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Open network sources too, each for some seconds.
    #[arg(long)]
    open: bool,
    /// Print every key with the value in force, and nothing else.
    #[arg(long)]
    resolved: bool,
}

pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    let token = check_token(&config.server)?;
    if args.resolved {
        say_as_is!("{}", config.resolved_toml().map_err(anyhow::Error::from)?);
        return Ok(());
    }
    say!(
        "train       preset {}, batches of {}, device {}",
        config.train.preset.name(),
        config.train.batch_size(),
        config.train.device
    );
    say!("checkpoints {}", config.checkpoint.dir.display());
    say!(
        "server      http://{}/, changes need {token}",
        config.server.listen
    );
    let mut problems = Vec::new();
    let decoder = config.decode.decoder.element();
    match DecodePool::start(&config.decode) {
        Ok(pool) => {
            pool.close();
            say!("decoder     {decoder} works");
        }
        Err(error) => problems.push(error.to_string()),
    }
    match Templates::new(config.ingest.pipelines.as_deref()) {
        Ok(templates) => {
            let faults = templates.check();
            if faults.is_empty() {
                say!("pipelines   all can be built");
            }
            problems.extend(faults.iter().map(ToString::to_string));
            check_streams(&config, &templates, args.open, &mut problems)?;
        }
        Err(error) => problems.push(error.to_string()),
    }
    if let Some(dir) = &config.probe.dir {
        let spec = config.train.sample_spec();
        match HeldList::open(dir, config.probe.label.as_deref(), spec, config.probe.clips) {
            Ok(list) => say!(
                "probe       {}: {} videos of {} classes",
                dir.display(),
                list.videos(),
                list.classes().len()
            ),
            Err(error) => problems.push(format!("probe.dir: {error}")),
        }
    }
    if problems.is_empty() {
        say!("all is well");
        return Ok(());
    }
    Err(Failure::Failed(anyhow::anyhow!(problems.join("\ncomove: "))))
}

fn check_streams(
    config: &Config,
    templates: &Templates,
    open: bool,
    problems: &mut Vec<String>,
) -> Result<(), Failure> {
    // The config was checked: this does not fail but for files that went away since.
    let streams = resolve_streams(&config.stream).map_err(anyhow::Error::from)?;
    if streams.is_empty() {
        say!("streams     none; name sources on the command line, or add [[stream]] to the config");
    }
    for ((name, source), stream) in streams.iter().zip(&config.stream) {
        let found = match look_at(source, stream, templates, open) {
            Ok(found) => found,
            Err(reason) => {
                problems.push(format!("stream {name}: {reason}"));
                "FAILED, see below".to_owned()
            }
        };
        say!("stream      {name}: {source}: {found}");
    }
    Ok(())
}

fn look_at(
    source: &SourceKind,
    stream: &StreamConfig,
    templates: &Templates,
    open: bool,
) -> Result<String, String> {
    if !stream.enabled {
        return Ok("disabled".to_owned());
    }
    if source.is_remote() && !open {
        return Ok("not opened (--open does)".to_owned());
    }
    let probe = probe(source, templates, PROBE_PATIENCE).map_err(|error| error.to_string())?;
    Ok(describe(&probe))
}

fn describe(probe: &Probe) -> String {
    let format = &probe.format;
    let mut text = format!("H.264, {}×{}", format.width, format.height);
    if let (frames @ 1.., seconds @ 1..) = format.frame_rate {
        let rate = f64::from(frames) / f64::from(seconds);
        text.push_str(&format!(", {} frames/s", (rate * 100.0).round() / 100.0));
    }
    if probe.files > 1 {
        text.push_str(&format!(", the first of {} files", probe.files));
    }
    for track in &probe.ignored_tracks {
        text.push_str(&format!(", left out: {track}"));
    }
    for (path, error) in &probe.unreadable {
        text.push_str(&format!("; {} cannot be read: {error}", path.display()));
    }
    text
}
