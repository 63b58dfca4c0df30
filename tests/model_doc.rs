//! `docs/model.md` names every tensor of every preset with its shape. `COMOVE_WRITE_DOCS=1` writes what should be there.

use std::collections::HashMap;
use std::fmt::Write;

use comove::model::{Model, ModelConfig, NormKind, Preset, Role};
use tch::Device;

const BEGIN: &str =
    "<!-- written by tests/model_doc.rs: COMOVE_WRITE_DOCS=1 cargo test --test model_doc -->\n";

#[test]
fn every_tensor_is_documented_with_its_shape() -> anyhow::Result<()> {
    let models = Preset::ALL
        .map(|preset| Model::random(&preset.model(NormKind::Batch), 0, Device::Cpu))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let tables = format!("{}\n{}", sizes(&models)?, tensors(&models)?);

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/model.md");
    let page = std::fs::read_to_string(path)?;
    let (prose, found) = page.split_once(BEGIN).unwrap_or((&page, ""));
    if std::env::var_os("COMOVE_WRITE_DOCS").is_some() {
        std::fs::write(path, format!("{prose}{BEGIN}{tables}"))?;
        return Ok(());
    }
    anyhow::ensure!(
        found == tables,
        "docs/model.md is out of date: COMOVE_WRITE_DOCS=1 cargo test --test model_doc"
    );
    Ok(())
}

#[test]
fn group_norms_leave_all_names_but_the_statistics() -> anyhow::Result<()> {
    let names = |norm, statistics| -> anyhow::Result<Vec<(String, Vec<i64>)>> {
        let model = Model::random(&Preset::Micro.model(norm), 0, Device::Cpu)?;
        let kept = model.store().parameters().iter();
        let kept = kept.filter(|p| statistics || !matches!(p.role, Role::Statistic | Role::Counter));
        Ok(kept.map(|p| (p.name.clone(), p.tensor.size())).collect())
    };
    assert_eq!(names(NormKind::Group, true)?, names(NormKind::Batch, false)?);
    Ok(())
}

/// A table with a column a preset.
fn row(out: &mut String, what: &str, cells: impl Iterator<Item = String>) -> std::fmt::Result {
    writeln!(out, "| {what} | {} |", cells.collect::<Vec<_>>().join(" | "))
}

fn heading(out: &mut String, what: &str) -> std::fmt::Result {
    row(
        out,
        what,
        Preset::ALL.iter().map(|preset| format!("`{}`", preset.name())),
    )?;
    writeln!(out, "| --- |{}", " ---: |".repeat(Preset::ALL.len()))
}

fn sizes(models: &[Model]) -> anyhow::Result<String> {
    type Size = (&'static str, fn(&ModelConfig) -> String);
    const SIZES: [Size; 10] = [
        ("clips", |c| {
            let crop = c.crop;
            format!("[B, 3, {}, {crop}, {crop}]", c.sample.clip_frames)
        }),
        ("key frames", |c| format!("[B, 3, {0}, {0}]", c.crop)),
        ("motion", |c| {
            let (windows, crop) = (1 + c.sample.hard_negatives, c.motion_crop);
            format!("[B, {windows}, 2, {}, {crop}, {crop}]", c.sample.target_frames)
        }),
        ("V, pooled", |c| format!("[B, {}]", c.video_features())),
        ("V, pretraining", |c| {
            let [frames, rows, columns] = c.memory_grid();
            format!("[B, {}, {frames}, {rows}, {columns}]", c.video_features())
        }),
        ("I", |c| format!("[B, {}]", c.key_frame_features())),
        ("M", |c| {
            let [frames, rows, columns] = c.motion_grid();
            format!(
                "[B·(1 + N), {}, {frames}, {rows}, {columns}]",
                c.motion_features()
            )
        }),
        ("attention heads", |c| c.predictor.heads.to_string()),
        ("norm of V's and I's views", |c| {
            format!("{:?}", c.view_norm).to_lowercase()
        }),
        ("M-Network's stem", |c| {
            format!("{:?}", c.motion_stem).to_lowercase()
        }),
    ];
    let mut out = String::new();
    heading(&mut out, "")?;
    for (what, size) in SIZES {
        row(&mut out, what, models.iter().map(|model| size(model.config())))?;
    }
    for module in ["v", "i", "m", "predictor", "head"] {
        let count = |model: &Model| -> String {
            let trained = model.store().trained_parameters();
            let inside = trained.filter(|p| p.name.split('.').next() == Some(module));
            thousands(inside.map(|p| p.tensor.numel()).sum())
        };
        row(
            &mut out,
            &format!("trained values of `{module}`"),
            models.iter().map(count),
        )?;
    }
    row(
        &mut out,
        "trained values",
        models
            .iter()
            .map(|model| thousands(model.store().trained_count() as usize)),
    )?;
    Ok(out)
}

/// Tensors of the same module and shape share a line.
fn tensors(models: &[Model]) -> anyhow::Result<String> {
    let shapes: Vec<HashMap<&str, Vec<i64>>> = models
        .iter()
        .map(|model| {
            let all = model.store().parameters().iter();
            all.map(|p| (p.name.as_str(), p.tensor.size())).collect()
        })
        .collect();
    let paper = models[0].store().parameters();
    for name in shapes.iter().flat_map(HashMap::keys) {
        anyhow::ensure!(shapes[0].contains_key(name), "the largest preset has no {name}");
    }

    let mut lines: Vec<(&str, Vec<&str>, Vec<String>)> = Vec::new();
    for parameter in paper.iter().filter(|p| p.role != Role::Counter) {
        let (module, leaf) = parameter.name.rsplit_once('.').unwrap_or(("", &parameter.name));
        let cells = shapes
            .iter()
            .map(|shapes| {
                shapes
                    .get(parameter.name.as_str())
                    .map_or("–".into(), |shape| format!("{shape:?}"))
            })
            .collect();
        match lines.last_mut() {
            Some((last, leaves, same)) if *last == module && *same == cells => leaves.push(leaf),
            _ => lines.push((module, vec![leaf], cells)),
        }
    }

    let mut out = String::from(
        "## Tensors\n\n\
         `{a, b}` stands for two tensors. Next to every `running_mean` there is a `num_batches_tracked`: a single i64.\n",
    );
    let mut chapter = "";
    for (module, leaves, cells) in &lines {
        let top = module.split('.').next().unwrap_or(module);
        if top != chapter {
            chapter = top;
            writeln!(out, "\n### `{top}`\n")?;
            heading(&mut out, "tensor")?;
        }
        let leaf = if leaves.len() == 1 {
            leaves[0].to_owned()
        } else {
            format!("{{{}}}", leaves.join(", "))
        };
        row(&mut out, &format!("`{module}.{leaf}`"), cells.iter().cloned())?;
    }
    Ok(out)
}

fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}
