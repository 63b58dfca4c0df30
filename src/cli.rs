/// As `println!`, which panics when nobody reads.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::write_out(format_args!("{}\n", format_args!($($text)*))) };
}

/// As `print!`, which panics when nobody reads.
macro_rules! say_as_is {
    ($($text:tt)*) => { $crate::cli::write_out(format_args!($($text)*)) };
}

mod check;
mod checkpoint;
mod environment;
mod eval;
mod extract;
mod forget;
mod inspect;
mod prepare;
mod progress;
mod run;
mod status;
mod synth;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Parser, Subcommand};
use comfy_table::Table;
use comove::config::{Config, ConfigError, ConfigSource, Overrides};
use comove::server::ServerError;
use comove::telemetry::LogError;
use comove::topology::RunError;

/// Watches H.264 video and keeps training a video network on it, without labels.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 110, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 the command line or the config is wrong.";

#[derive(Debug, Subcommand)]
enum Command {
    #[command(after_help = run::EXAMPLES)]
    Run(run::RunArgs),
    #[command(after_help = check::EXAMPLES)]
    Check(check::CheckArgs),
    #[command(after_help = inspect::EXAMPLES)]
    Inspect(inspect::InspectArgs),
    #[command(after_help = extract::EXAMPLES)]
    Extract(extract::ExtractArgs),
    #[command(after_help = eval::EXAMPLES)]
    Eval(eval::EvalArgs),
    #[command(after_help = prepare::EXAMPLES)]
    Prepare(prepare::PrepareArgs),
    #[command(after_help = synth::EXAMPLES)]
    Synth(synth::SynthArgs),
    #[command(after_help = checkpoint::EXAMPLES)]
    Checkpoint(checkpoint::CheckpointArgs),
    #[command(after_help = forget::EXAMPLES)]
    Forget(forget::ForgetArgs),
    #[command(after_help = status::EXAMPLES)]
    Status(status::StatusArgs),
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// What to learn from, in place of the config's streams: URIs, files, folders, or `synthetic:` for moving patterns.
    #[arg(value_name = "URI|FILE|FOLDER")]
    sources: Vec<String>,
    /// The config file; the defaults where there is none. What stands on the command line goes before it.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Size of networks and samples: paper, small or micro.
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Where to compute: auto, cpu, cuda or cuda:N.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// The folder that checkpoints are written to.
    #[arg(long, value_name = "DIR")]
    checkpoint_dir: Option<PathBuf>,
    /// End the run in good order after this many steps.
    #[arg(long, value_name = "N")]
    max_steps: Option<u64>,
    /// Go on from the newest checkpoint: `always` (there must be one), `if-present` or `never`.
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    resume: Option<String>,
    /// End the run in good order after this time, such as 90s or 8h.
    #[arg(long, value_name = "TIME")]
    max_duration: Option<String>,
    /// Address and port of metrics and API.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// How log lines look: auto, human, plain or json.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl ConfigArgs {
    fn load(&self) -> Result<Config, ConfigError> {
        self.source().load()
    }

    fn source(&self) -> ConfigSource {
        let overrides = Overrides {
            sources: self.sources.clone(),
            preset: self.preset.clone(),
            device: self.device.clone(),
            checkpoint_dir: self.checkpoint_dir.clone(),
            max_steps: self.max_steps,
            resume: self.resume.clone(),
            max_duration: self.max_duration.clone(),
            listen: self.listen.clone(),
            log_format: self.log_format.clone(),
        };
        ConfigSource {
            path: self.config.clone(),
            overrides,
        }
    }
}

/// Why the program ends with another code than 0.
#[derive(Debug)]
enum Failure {
    /// The command line or the config is wrong: code 2.
    Usage(String),
    /// It was tried and failed: code 1.
    Failed(anyhow::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) => f.write_str(message),
            Self::Failed(error) => {
                // Most errors tell their cause themselves.
                let mut told = error.to_string();
                for cause in error.chain().skip(1).map(ToString::to_string) {
                    if !told.contains(&cause) {
                        told.push_str(": ");
                        told.push_str(&cause);
                    }
                }
                f.write_str(&told)
            }
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Token { .. } => Self::Usage(error.to_string()),
            other => Self::Failed(other.into()),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::NoStreams => Self::Usage(error.to_string()),
            RunError::Server(error) => error.into(),
            other => Self::Failed(other.into()),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Reads the command line, does what it says, and tells how that went.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    match command {
        Command::Run(_) => environment::for_a_long_run(),
        Command::Eval(_) => environment::for_computing(),
        _ => {}
    }
    let done = match command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Extract(args) => extract::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Prepare(args) => prepare::run(&args),
        Command::Synth(args) => synth::run(&args),
        Command::Checkpoint(args) => checkpoint::run(&args),
        Command::Forget(args) => forget::run(&args),
        Command::Status(args) => status::run(&args),
    };
    match done {
        Ok(()) if OUTPUT_LOST.load(Ordering::Relaxed) => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(format_args!("{failure}"));
            ExitCode::from(match failure {
                Failure::Usage(_) => 2,
                Failure::Failed(_) => 1,
            })
        }
    }
}

/// Something could not be written to standard output.
static OUTPUT_LOST: AtomicBool = AtomicBool::new(false);

/// Writes to standard output. A reader that has gone, as `head` does, has read enough; anything else is told, and makes the
/// program fail in the end.
fn write_out(text: fmt::Arguments<'_>) {
    if let Err(error) = io::stdout().lock().write_fmt(text)
        && error.kind() != io::ErrorKind::BrokenPipe
        && !OUTPUT_LOST.swap(true, Ordering::Relaxed)
    {
        complain(format_args!("standard output cannot be written: {error}"));
    }
}

fn complain(text: fmt::Arguments<'_>) {
    // There is no one to tell where even this fails.
    let _ = writeln!(io::stderr(), "comove: {text}");
}

/// A table without lines, for people and for `awk`.
fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.set_header(header);
    table
}
