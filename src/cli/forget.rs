use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use comove::checkpoint::CheckpointFolder;

use super::Failure;

pub(super) const EXAMPLES: &str = "Examples:
  comove forget gate --checkpoint-dir checkpoints

The run that writes to the folder has to be stopped meanwhile. What the networks learned from the stream cannot be taken out of
them: `comove checkpoint show` names the stream from then on, in these checkpoints and in those of runs that go on from them.";

/// Delete a stream's samples, and mark the checkpoints that learned from it.
#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    /// The stream's name.
    stream: String,
    /// The folder of checkpoints.
    #[arg(long, value_name = "DIR", default_value = "checkpoints")]
    checkpoint_dir: PathBuf,
}

pub(super) fn run(args: &ForgetArgs) -> Result<(), Failure> {
    Ok(forget(args)?)
}

fn forget(args: &ForgetArgs) -> anyhow::Result<()> {
    let dir = &args.checkpoint_dir;
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
