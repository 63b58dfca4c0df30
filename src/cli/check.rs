use clap::Args;
use comove::config::Config;
use comove::server::check_token;

use super::{ConfigArgs, Failure};

pub(super) const EXAMPLES: &str = "Examples:
  comove check -c config/cameras.toml
  comove check -c config/cameras.toml --resolved     the whole config in force, as TOML, without credentials";

/// Say whether a config is right, without running it.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print every key with the value in force.
    #[arg(long)]
    resolved: bool,
}

pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let config: Config = args.config.load()?;
    let token = check_token(&config.server)?;
    if args.resolved {
        print!("{}", config.resolved_toml().map_err(anyhow::Error::from)?);
        return Ok(());
    }
    println!("server   http://{}/, changes need {token}", config.server.listen);
    println!("the config is right");
    Ok(())
}
