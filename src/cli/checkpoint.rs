use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::{Args, Subcommand};
use comove::checkpoint::{self, Manifest};
use comove::server::CheckpointView;
use comove::topology::StreamProvenance;

use super::Failure;

pub(super) const EXAMPLES: &str = "Examples:
  comove checkpoint list checkpoints
  comove checkpoint show checkpoints/latest
  comove checkpoint pin checkpoints/00012000
  comove checkpoint verify checkpoints --all    exit code 1 when a single byte is wrong
  comove checkpoint export checkpoints --out v-network        for Python: torch.jit.load(\"v-network/v_network.pt\")";

/// List, show, verify, pin and export checkpoints.
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
        #[arg(default_value = "checkpoints")]
        dir: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what a checkpoint is and what it learned from.
    Show {
        /// A checkpoint, or a folder of them, of which the newest is meant.
        #[arg(default_value = "checkpoints")]
        path: PathBuf,
        /// Print the whole manifest as JSON.
        #[arg(long, conflicts_with = "config")]
        json: bool,
        /// Print the config of its run, as TOML.
        #[arg(long)]
        config: bool,
    },
    /// Keep a checkpoint from being deleted when newer ones are written. A run may be going on.
    Pin {
        /// A checkpoint, or a folder of them, of which the newest is meant.
        #[arg(default_value = "checkpoints")]
        path: PathBuf,
    },
    /// Let a pinned checkpoint be deleted again.
    Unpin {
        /// A checkpoint, or a folder of them, of which the newest is meant.
        #[arg(default_value = "checkpoints")]
        path: PathBuf,
    },
    /// Read a checkpoint whole and check every byte of it.
    Verify {
        /// A checkpoint, or a folder of them, of which the newest is meant.
        #[arg(default_value = "checkpoints")]
        path: PathBuf,
        /// Every checkpoint in the folder.
        #[arg(long)]
        all: bool,
    },
    /// Write what needs no comove: safetensors, a TorchScript file of the V-Network, and a model card.
    Export {
        /// A checkpoint, or a folder of them, of which the newest is meant.
        #[arg(default_value = "checkpoints")]
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
        CheckpointCommand::Pin { path } => pin(path, true),
        CheckpointCommand::Unpin { path } => pin(path, false),
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
    for (view, snapshot) in views.into_iter().zip(&listed) {
        let marks = [
            (view.latest, "latest"),
            (snapshot.pinned, "pinned"),
            (snapshot.has_replay, "with replay"),
        ];
        let marks: Vec<_> = marks.iter().filter(|mark| mark.0).map(|mark| mark.1).collect();
        let remark = view.error.clone().unwrap_or_else(|| marks.join(", "));
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
    print_provenance(manifest);
    say!("(--config shows the config of its run, --json the whole manifest)");
    Ok(())
}

/// What it was learned from, a line a stream.
fn print_provenance(manifest: &Manifest) {
    let streams: BTreeMap<String, StreamProvenance> =
        match serde_json::from_value(manifest.provenance.clone()) {
            Ok(streams) => streams,
            // Of another version: shown as it is.
            Err(_) => return say!("learned from\n{:#}", manifest.provenance),
        };
    say!("learned from");
    for (name, stream) in &streams {
        say!("  {name}  {}", stream.source);
        say!(
            "    {} samples of {} access units{}",
            stream.samples,
            stream.access_units,
            span("video", stream.pts_ns, |ns| humantime::format_duration(
                whole_seconds(ns)
            )
            .to_string())
        );
        if let Some((first, last)) = stream.arrival_unix_ns {
            let at = |ns| humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + whole_seconds(ns));
            say!("    arrived {} to {}", at(first), at(last));
        }
        let dropped: Vec<_> = stream
            .dropped
            .iter()
            .map(|(reason, units)| format!("{reason} {units}"))
            .collect();
        let dropped = if dropped.is_empty() {
            "none".to_owned()
        } else {
            dropped.join(", ")
        };
        say!("    dropped: {dropped}; reconnects: {}", stream.reconnects);
    }
    for forgotten in &manifest.forgotten {
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(forgotten.at_unix);
        say!(
            "forgotten   {} at {}: its samples were deleted; the networks had learned from {} of them",
            forgotten.stream,
            humantime::format_rfc3339_seconds(at),
            forgotten.samples_taken
        );
    }
}

fn whole_seconds(ns: u64) -> std::time::Duration {
    std::time::Duration::from_secs(ns / 1_000_000_000)
}

fn span(what: &str, range: Option<(u64, u64)>, told: impl Fn(u64) -> String) -> String {
    range.map_or_else(String::new, |(first, last)| {
        format!(", {what} from {} to {}", told(first), told(last))
    })
}

fn pin(path: &Path, pinned: bool) -> anyhow::Result<()> {
    checkpoint::pin(path, pinned)?;
    let now = if pinned { "pinned" } else { "no longer pinned" };
    say!("{}: {now}", checkpoint::resolve(path)?.display());
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
