use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use comove::checkpoint::CheckpointFolder;

use super::Failure;

pub(super) const EXAMPLES: &str = "Examples:
  comove forget gate checkpoints

The run that writes to the folder has to be stopped meanwhile. What the networks learned from the stream cannot be taken out of
them: `comove checkpoint show` names the stream from then on, in these checkpoints and in those of runs that go on from them.";

/// Delete a stream's samples, and mark the checkpoints that learned from it.
#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    /// The stream's name.
    stream: String,
    /// The folder that a run writes to (its checkpoint.dir).
    #[arg(default_value = "checkpoints")]
    dir: PathBuf,
    /// The same, as `comove run` has it.
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    checkpoint_dir: Option<PathBuf>,
}

pub(super) fn run(args: &ForgetArgs) -> Result<(), Failure> {
    Ok(forget(args)?)
}

fn forget(args: &ForgetArgs) -> anyhow::Result<()> {
    let dir = args.checkpoint_dir.as_ref().unwrap_or(&args.dir);
    anyhow::ensure!(dir.is_dir(), "{}: there is no such folder", dir.display());
    let now_unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let forgot = CheckpointFolder::open(dir)?.forget(&args.stream, now_unix)?;
    anyhow::ensure!(
        !forgot.marked.is_empty(),
        "no checkpoint in {} learned from a stream {}",
        dir.display(),
        args.stream
    );
    let steps: Vec<_> = forgot.marked.iter().map(u64::to_string).collect();
    say!(
        "{}: {} samples deleted; the checkpoints of steps {} are marked",
        args.stream,
        forgot.samples,
        steps.join(", ")
    );
    Ok(())
}
