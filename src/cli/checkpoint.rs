use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::{Args, Subcommand};
use comove::checkpoint::{self, Manifest};
use comove::server::CheckpointView;

use super::Failure;

pub(super) const EXAMPLES: &str = "Examples:
  comove checkpoint list checkpoints
  comove checkpoint show checkpoints/latest
  comove checkpoint verify checkpoints --all    exit code 1 when a single byte is wrong
  comove checkpoint export checkpoints --out v-network        for Python: torch.jit.load(\"v-network/v_network.pt\")";

/// List, show, verify and export checkpoints.
#[derive(Debug, Args)]
pub(super) struct CheckpointArgs {
    #[command(subcommand)]
    command: CheckpointCommand,
}

#[derive(Debug, Subcommand)]
enum CheckpointCommand {
    /// List the checkpoints in a folder, newest first.
    List {
        /// The folder that a run writes to (its checkpoint.dir).
        dir: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what a checkpoint is and what it learned from.
    Show {
        /// A checkpoint, or a folder of them, of which the newest is meant.
        path: PathBuf,
        /// Print the whole manifest as JSON.
        #[arg(long, conflicts_with = "config")]
        json: bool,
        /// Print the config of its run, as TOML.
        #[arg(long)]
        config: bool,
    },
    /// Read a checkpoint whole and check every byte of it.
    Verify {
        /// A checkpoint, or a folder of them, of which the newest is meant.
        path: PathBuf,
        /// Every checkpoint in the folder.
        #[arg(long)]
        all: bool,
    },
    /// Write what needs no comove: safetensors, a TorchScript file of the V-Network, and a model card.
    Export {
        /// A checkpoint, or a folder of them, of which the newest is meant.
        path: PathBuf,
        /// Of a folder, the checkpoint of this step.
        #[arg(long, value_name = "N")]
        step: Option<u64>,
        /// The folder for the files, new or empty.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

pub(super) fn run(args: &CheckpointArgs) -> Result<(), Failure> {
    Ok(match &args.command {
        CheckpointCommand::List { dir, json } => list(dir, *json),
        CheckpointCommand::Show { path, json, config } => show(path, *json, *config),
        CheckpointCommand::Verify { path, all: false } => verify(path),
        CheckpointCommand::Verify { path, all: true } => verify_all(path),
        CheckpointCommand::Export { path, step, out } => export(path, *step, out),
    }?)
}

fn list(dir: &Path, json: bool) -> anyhow::Result<()> {
    let mut listed = checkpoint::list(dir)?;
    listed.reverse();
    let views: Vec<_> = listed.iter().map(CheckpointView::from).collect();
    if json {
        say!("{}", serde_json::to_string_pretty(&views)?);
        return Ok(());
    }
    if views.is_empty() {
        say!("no checkpoint in {}", dir.display());
        return Ok(());
    }
    let mut table = super::table(["step", "written", "size", "", "folder"]);
    for view in views {
        let remark = match (&view.error, view.latest) {
            (Some(error), _) => error.clone(),
            (None, true) => "latest".to_owned(),
            (None, false) => String::new(),
        };
        table.add_row([
            view.step.to_string(),
            view.written_at.unwrap_or_default(),
            view.bytes
                .map(|bytes| ByteSize(bytes).to_string())
                .unwrap_or_default(),
            remark,
            view.path,
        ]);
    }
    say!("{table}");
    Ok(())
}

fn show(path: &Path, json: bool, config: bool) -> anyhow::Result<()> {
    let manifest = checkpoint::show(path)?;
    if json {
        say!("{}", serde_json::to_string_pretty(&manifest)?);
    } else if config {
        say_as_is!("{}", manifest.config);
    } else {
        print_manifest(&manifest)?;
    }
    Ok(())
}

fn print_manifest(manifest: &Manifest) -> anyhow::Result<()> {
    let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(manifest.created_unix);
    say!("step        {}", manifest.step);
    say!("written     {}", humantime::format_rfc3339_seconds(written));
    say!(
        "by          comove {}, format {}",
        manifest.comove_version,
        manifest.format_version
    );
    for file in &manifest.files {
        say!("file        {} ({})", file.name, ByteSize(file.bytes));
    }
    let metrics = manifest.metrics.as_object().into_iter().flatten();
    for (name, value) in metrics.filter(|(_, value)| !value.is_null()) {
        say!("{name:24} {value}");
    }
    say!("learned from\n{:#}", manifest.provenance);
    say!("(--config shows the config of its run, --json the whole manifest)");
    Ok(())
}

fn verify(path: &Path) -> anyhow::Result<()> {
    let manifest = checkpoint::verify(path)?;
    let bytes = manifest.files.iter().map(|file| file.bytes).sum();
    say!(
        "{}: step {}, {} files, {}: complete and sound",
        path.display(),
        manifest.step,
        manifest.files.len(),
        ByteSize(bytes)
    );
    Ok(())
}

fn verify_all(dir: &Path) -> anyhow::Result<()> {
    let listed = checkpoint::list(dir)?;
    anyhow::ensure!(!listed.is_empty(), "{}: no checkpoint in it", dir.display());
    let mut damaged = Vec::new();
    for snapshot in &listed {
        if let Err(error) = verify(&snapshot.path) {
            damaged.push(format!("{error:#}"));
        }
    }
    anyhow::ensure!(damaged.is_empty(), "{}", damaged.join("\ncomove: "));
    Ok(())
}

fn export(path: &Path, step: Option<u64>, out: &Path) -> anyhow::Result<()> {
    let snapshot = match step {
        None => path.to_owned(),
        Some(step) => checkpoint::list(path)?
            .into_iter()
            .find(|listed| listed.step == step)
            .map(|listed| listed.path)
            .ok_or_else(|| anyhow::anyhow!("{}: no checkpoint of step {step} in it", path.display()))?,
    };
    let exported = checkpoint::export(&snapshot, out)?;
    say!(
        "{}: step {}: {}, {} (differs from the network by {:.0e}), {}",
        out.display(),
        exported.step,
        checkpoint::EXPORTED_TENSORS,
        checkpoint::EXPORTED_SCRIPT,
        exported.difference,
        checkpoint::EXPORTED_CARD
    );
    Ok(())
}
