//! A snapshot → files that need no comove: safetensors, TorchScript, and a model card.

use std::fs;
use std::path::{Path, PathBuf};

use tch::{CModule, Device, Kind, Tensor, no_grad};

use super::export_card::model_card;
use super::manifest::{MANIFEST_FILE, MODEL_FILE, Manifest};
use super::tensor_file::{NamedTensor, encode};
use super::{CheckpointError, load_weights, resolve};
use crate::model::{Model, ModelConfig};

/// The file with the tensors of all networks.
pub const EXPORTED_TENSORS: &str = MODEL_FILE;
/// The file with the V-Network as a program.
pub const EXPORTED_SCRIPT: &str = "v_network.pt";
/// The model card.
pub const EXPORTED_CARD: &str = "README.md";

/// Largest relative difference between the network and its exported program that is rounding.
const TOLERANCE: f64 = 1e-4;

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// The folder.
    pub folder: PathBuf,
    /// Training steps behind the snapshot.
    pub step: u64,
    /// Largest difference between the network and its exported program, relative to the largest value.
    pub difference: f64,
}

/// Writes [`EXPORTED_TENSORS`], [`EXPORTED_SCRIPT`], [`EXPORTED_CARD`] and the snapshot's manifest to a new or empty folder.
///
/// `path` is a snapshot or a folder of snapshots, of which the newest is meant. The program is loaded again and must give what
/// the network gives.
///
/// # Errors
/// A snapshot that cannot be loaded, a folder that is not empty or cannot be written, or a program that computes something else.
pub fn export(path: &Path, out: &Path) -> Result<Exported, CheckpointError> {
    let snapshot = resolve(path)?;
    let (model, manifest) = load_weights(&snapshot, Device::Cpu)?;
    fs::create_dir_all(out).map_err(CheckpointError::io("create", out))?;
    let mut entries = fs::read_dir(out).map_err(CheckpointError::io("list", out))?;
    if entries.next().is_some() {
        return Err(CheckpointError::NotEmpty { path: out.to_owned() });
    }
    let difference = write_files(&model, &manifest, &snapshot, out)?;
    Ok(Exported {
        folder: out.to_owned(),
        step: manifest.step,
        difference,
    })
}

fn write_files(
    model: &Model,
    manifest: &Manifest,
    snapshot: &Path,
    out: &Path,
) -> Result<f64, CheckpointError> {
    let write = |name: &str, bytes: &[u8]| {
        let path = out.join(name);
        fs::write(&path, bytes).map_err(CheckpointError::io("write", path))
    };
    let tensors = model
        .store()
        .parameters()
        .iter()
        .map(|parameter| NamedTensor::copy_of(&parameter.name, &parameter.tensor))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| CheckpointError::Model {
            path: snapshot.join(MODEL_FILE),
            source: source.into(),
        })?;
    write(EXPORTED_TENSORS, &encode(&tensors, &out.join(EXPORTED_TENSORS))?)?;
    let script = out.join(EXPORTED_SCRIPT);
    let failed = |reason: String| CheckpointError::Script {
        path: script.clone(),
        reason,
    };
    trace(model)
        .and_then(|module| module.save(&script))
        .map_err(|error| failed(error.to_string()))?;
    let difference = largest_difference(model, &script).map_err(|error| failed(error.to_string()))?;
    if difference > TOLERANCE || difference.is_nan() {
        return Err(failed(format!("it differs from the network by {difference:.1e}")));
    }
    let text = fs::read(snapshot.join(MANIFEST_FILE)).map_err(CheckpointError::io("read", snapshot))?;
    write(MANIFEST_FILE, &text)?;
    // Last: a folder with a card is complete.
    write(
        EXPORTED_CARD,
        model_card(manifest, model.store().trained_count()).as_bytes(),
    )?;
    Ok(difference)
}

/// Clips of this shape are what the network takes, whatever their number.
fn example(config: &ModelConfig, clips: i64) -> Tensor {
    let side = i64::from(config.crop);
    let shape = [clips, 3, i64::from(config.sample.clip_frames), side, side];
    let count: i64 = shape.iter().product();
    // Neither constant nor random.
    (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 0.37)
        .sin()
        .view(shape)
}

/// The V-Network in evaluation as a program `clips [B, 3, T, S, S] → features [B, C]`, its weights within.
fn trace(model: &Model) -> Result<CModule, tch::TchError> {
    for parameter in model.store().trained_parameters() {
        // A constant of a program cannot want gradients.
        let _ = parameter.tensor.shallow_clone().f_set_requires_grad(false)?;
    }
    let mut failure = None;
    let mut forward = |inputs: &[Tensor]| match model.features(&inputs[0]) {
        Ok(features) => vec![features],
        Err(error) => {
            failure = Some(error.to_string());
            vec![inputs[0].shallow_clone()]
        }
    };
    let inputs = [example(model.config(), 2)];
    let module = no_grad(|| CModule::create_by_tracing("VNetwork", "forward", &inputs, &mut forward))?;
    match failure {
        Some(reason) => Err(tch::TchError::Torch(reason)),
        None => Ok(module),
    }
}

/// Between the network and the program on disk, for another number of clips than it was made with.
fn largest_difference(model: &Model, script: &Path) -> Result<f64, Box<dyn std::error::Error>> {
    let clips = example(model.config(), 3);
    let expected = model.features(&clips)?;
    let found = no_grad(|| CModule::load(script)?.forward_ts(&[&clips]))?;
    if found.size() != expected.size() {
        return Err(format!(
            "its output has shape {:?}, {:?} is right",
            found.size(),
            expected.size()
        )
        .into());
    }
    let scale = expected.abs().max().f_double_value(&[])?.max(1e-12);
    Ok((found - expected).abs().max().f_double_value(&[])? / scale)
}
