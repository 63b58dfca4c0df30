//! Prints a preset's networks as JSON, for programs in other languages: `model_config PRESET`.

use anyhow::{Context, Result};
use comove::model::{NormKind, Preset};

fn main() -> Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let preset = Preset::ALL.into_iter().find(|preset| preset.name() == name);
    let config = preset
        .context("usage: model_config paper|small|micro")?
        .model(NormKind::Batch);
    println!("{}", serde_json::to_string_pretty(&config)?);
    Ok(())
}
