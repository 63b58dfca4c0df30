use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use comove::config::{Config, ConfigError, Overrides};
use comove::server::{ServerError, check_token};
use comove::telemetry::LogError;

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
    /// Say whether a config is right, without running it.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
}

const CHECK_EXAMPLES: &str = "Examples:
  comove check -c config/cameras.toml
  comove check -c config/cameras.toml --resolved     the whole config in force, as TOML, without credentials";

#[derive(Debug, Args)]
struct CheckArgs {
    /// The config file; the defaults where there is none.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print every key with the value in force.
    #[arg(long)]
    resolved: bool,
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
            Self::Failed(error) => write!(f, "{error:#}"),
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

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Reads the command line, does what it says, and tells how that went.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Check(args) => check(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("comove: {failure}");
            ExitCode::from(match failure {
                Failure::Usage(_) => 2,
                Failure::Failed(_) => 1,
            })
        }
    }
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let config = Config::load(args.config.as_deref(), &Overrides::default())?;
    let token = check_token(&config.server)?;
    if args.resolved {
        let resolved = config.resolved_toml().map_err(anyhow::Error::from)?;
        print!("{resolved}");
        return Ok(());
    }
    println!("server   http://{}/, changes need {token}", config.server.listen);
    println!("the config is right");
    Ok(())
}
