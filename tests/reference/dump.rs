//! Writes what comove computes, for an independent implementation to compare with: weights, inputs, outputs, gradients.
//!
//! A folder has `case.json` (the model's configuration), `weights.safetensors` (every tensor of the model, before anything
//! ran), `inputs.safetensors`, and a file for each pass: of one module (`probe`) with a given gradient of its output, and of
//! the whole with both losses (`whole`), in evaluation (`evaluate`) and in training (`train`).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use comove::loss::joint_loss;
use comove::model::{
    Builder, Head, KeyFrameNetwork, Model, ModelConfig, MotionNetwork, MotionPredictor, ParameterStore, Pass,
    Phase, Precision, Role, Scope, VideoNetwork, Views, normalise_rgb,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

/// Rows that a head is probed with: more than a few, or a batch norm's gradient is a difference of nearly equal numbers.
const HEAD_ROWS: i64 = 24;

type Named = BTreeMap<String, Tensor>;

/// Writes one case into `folder`, which exists.
pub fn write_case(folder: &Path, config: &ModelConfig, segments: &[i64], seed: u64) -> anyhow::Result<()> {
    let mut random = Random(ChaCha8Rng::seed_from_u64(seed));
    let model = Model::random(config, seed, Device::Cpu)?;
    let case = serde_json::json!({ "model": config, "segments": segments });
    std::fs::write(folder.join("case.json"), serde_json::to_vec_pretty(&case)?)?;
    let inputs = random.inputs(config, segments.len() as i64);
    write(folder, "inputs", &inputs)?;
    let mut weights = random.unsettled_weights(model.store());
    model.store().load(&weights)?;
    let views = views(&inputs);
    tch::no_grad(|| model.forward(&views, pass(Phase::Train)))?;
    random.remember_statistics(&mut weights, model.store());
    write(folder, "weights", &weights)?;

    for phase in [Phase::Evaluate, Phase::Train] {
        for probe in Probe::ALL {
            probe.run(folder, config, &weights, &inputs, phase)?;
        }
        model.store().load(&weights)?;
        write(
            folder,
            &format!("whole.{}", phase_name(phase)),
            &whole(&model, &inputs, segments, phase)?,
        )?;
    }
    Ok(())
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Train => "train",
        Phase::Evaluate => "evaluate",
    }
}

fn pass(phase: Phase) -> Pass {
    Pass {
        phase,
        precision: Precision::Float32,
    }
}

fn views(inputs: &Named) -> Views {
    Views {
        clips: normalise_rgb(&inputs["clips"]),
        key_frames: normalise_rgb(&inputs["key_frames"]),
        motion: inputs["motion"].shallow_clone(),
        known: inputs["known"].shallow_clone(),
    }
}

/// Both losses and the gradient of every parameter.
fn whole(model: &Model, inputs: &Named, segments: &[i64], phase: Phase) -> anyhow::Result<Named> {
    let before = model.store().statistics_before();
    let embeddings = model.forward(&views(inputs), pass(phase))?;
    let loss = joint_loss(&embeddings, &Tensor::from_slice(segments), 0.5);
    let mut out = Named::new();
    if phase == Phase::Train {
        model
            .store()
            .settle_statistics(before, &Tensor::from_slice(&[true]).squeeze());
        add_statistics(&mut out, model.store());
    }
    add_gradients(&mut out, model.store(), &loss.total);
    for (name, tensor) in [
        ("clip_context", &embeddings.clip_context),
        ("key_frame", &embeddings.key_frame),
        ("predicted_motion", &embeddings.predicted_motion),
        ("motion", &embeddings.motion),
        ("motion_known", &embeddings.motion_known),
        ("pooled", &embeddings.pooled),
        ("loss", &loss.total),
        ("context.loss", &loss.context.loss),
        ("context.top1", &loss.context.top1),
        ("context.chance", &loss.context.chance),
        ("context.queries", &loss.context.queries),
        ("motion.loss", &loss.motion.loss),
        ("motion.top1", &loss.motion.top1),
        ("motion.chance", &loss.motion.chance),
        ("motion.queries", &loss.motion.queries),
    ] {
        out.insert(format!("output.{name}"), tensor.shallow_clone());
    }
    Ok(out)
}

/// One module on its own.
#[derive(Clone, Copy)]
enum Probe {
    Video,
    KeyFrame,
    Motion,
    Predictor,
    Head(&'static str),
}

/// A module's inputs → its outputs by name, the one whose gradient is given first.
type Forward = Box<dyn Fn(&Tensor, Pass) -> anyhow::Result<Vec<(&'static str, Tensor)>>>;

impl Probe {
    const ALL: [Probe; 8] = [
        Probe::Video,
        Probe::KeyFrame,
        Probe::Motion,
        Probe::Predictor,
        Probe::Head("head.clip_context"),
        Probe::Head("head.key_frame"),
        Probe::Head("head.predicted_motion"),
        Probe::Head("head.motion"),
    ];

    fn name(self) -> &'static str {
        match self {
            Probe::Video => "v",
            Probe::KeyFrame => "i",
            Probe::Motion => "m",
            Probe::Predictor => "predictor",
            Probe::Head(name) => name,
        }
    }

    fn build(self, scope: Scope<'_>, config: &ModelConfig) -> anyhow::Result<Forward> {
        Ok(match self {
            Probe::Video => {
                let network = VideoNetwork::new(scope, config)?;
                Box::new(move |input, pass| {
                    let features = network.forward(input, pass)?;
                    Ok(vec![
                        ("pretraining", features.pretraining()),
                        ("layer3", features.layer3.shallow_clone()),
                        ("layer4", features.layer4.shallow_clone()),
                        ("pooled", features.pooled()),
                    ])
                })
            }
            Probe::KeyFrame => {
                let network = KeyFrameNetwork::new(scope, config)?;
                Box::new(move |input, pass| Ok(vec![("features", network.forward(input, pass)?)]))
            }
            Probe::Motion => {
                let network = MotionNetwork::new(scope, config)?;
                Box::new(move |input, pass| Ok(vec![("features", network.forward(input, pass)?)]))
            }
            Probe::Predictor => {
                let predictor = MotionPredictor::new(scope, config, config.video_features())?;
                Box::new(move |input, pass| Ok(vec![("features", predictor.forward(input, pass)?)]))
            }
            Probe::Head(_) => {
                let (hidden, out) = (i64::from(config.head_hidden), i64::from(config.embedding));
                let head = Head::new(scope, self.head_features(config), hidden, out, config.norm)?;
                Box::new(move |input, pass| Ok(vec![("rows", head.forward(input, pass))]))
            }
        })
    }

    fn head_features(self, config: &ModelConfig) -> i64 {
        match self.name() {
            "head.clip_context" => config.video_features(),
            "head.key_frame" => config.key_frame_features(),
            "head.predicted_motion" => i64::from(config.predictor.features),
            _ => config.motion_features(),
        }
    }

    fn input(self, config: &ModelConfig, inputs: &Named, random: &mut Random) -> Tensor {
        match self {
            Probe::Video => normalise_rgb(&inputs["clips"]),
            Probe::KeyFrame => normalise_rgb(&inputs["key_frames"]),
            Probe::Motion => inputs["motion"].flatten(0, 1),
            Probe::Predictor => random.normal(&[
                inputs["clips"].size()[0],
                config.memory_positions(),
                config.video_features(),
            ]),
            Probe::Head(_) => random.normal(&[HEAD_ROWS, self.head_features(config)]),
        }
    }

    fn run(
        self,
        folder: &Path,
        config: &ModelConfig,
        weights: &Named,
        inputs: &Named,
        phase: Phase,
    ) -> anyhow::Result<()> {
        let mut builder = Builder::new(ChaCha8Rng::seed_from_u64(0));
        let mut root = builder.root();
        let module = match self.name().split_once('.') {
            None => self.build(root.enter(self.name()), config)?,
            Some((outer, inner)) => self.build(root.enter(outer).enter(inner), config)?,
        };
        let store = builder.finish(Device::Cpu)?;
        let prefix = format!("{}.", self.name());
        store.load(
            &weights
                .iter()
                .filter(|(name, _)| name.starts_with(&prefix))
                .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
                .collect(),
        )?;

        let mut random = Random(ChaCha8Rng::seed_from_u64(1));
        let input = self.input(config, inputs, &mut random).set_requires_grad(true);
        let outputs = module(&input, pass(phase))?;
        let gradient = random.normal(&outputs[0].1.size());
        let product = (&outputs[0].1 * &gradient).sum(Kind::Float);
        let mut out = Named::new();
        if !matches!(self, Probe::Video | Probe::KeyFrame | Probe::Motion) {
            out.insert("input".into(), input.shallow_clone());
        }
        out.insert("output_gradient".into(), gradient);
        let wanted: Vec<&Tensor> = std::iter::once(&input)
            .chain(store.trained_parameters().map(|parameter| &parameter.tensor))
            .collect();
        let mut gradients = Tensor::run_backward(&[product], &wanted, false, false).into_iter();
        out.insert(
            format!("gradient.{}.input", self.name()),
            gradients.next().context("no gradient of the input")?,
        );
        for (parameter, gradient) in store.trained_parameters().zip(gradients) {
            out.insert(format!("gradient.{}", parameter.name), gradient);
        }
        for (name, tensor) in outputs {
            out.insert(format!("output.{name}"), tensor);
        }
        write(
            folder,
            &format!("probe.{}.{}", self.name(), phase_name(phase)),
            &out,
        )
    }
}

fn add_gradients(out: &mut Named, store: &ParameterStore, loss: &Tensor) {
    let wanted: Vec<&Tensor> = store
        .trained_parameters()
        .map(|parameter| &parameter.tensor)
        .collect();
    let gradients = Tensor::run_backward(&[loss], &wanted, false, false);
    for (parameter, gradient) in store.trained_parameters().zip(gradients) {
        out.insert(format!("gradient.{}", parameter.name), gradient);
    }
}

fn add_statistics(out: &mut Named, store: &ParameterStore) {
    for parameter in store.parameters() {
        if matches!(parameter.role, Role::Statistic | Role::Counter) {
            out.insert(format!("statistic.{}", parameter.name), parameter.tensor.copy());
        }
    }
}

fn write(folder: &Path, name: &str, tensors: &Named) -> anyhow::Result<()> {
    let plain: Vec<(&String, Tensor)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let tensor = tensor.detach();
            let kind = if tensor.kind() == Kind::Bool {
                Kind::Uint8
            } else {
                tensor.kind()
            };
            (name, tensor.to_kind(kind).contiguous())
        })
        .collect();
    let path = folder.join(format!("{name}.safetensors"));
    Tensor::write_safetensors(&plain, &path).with_context(|| format!("cannot write {}", path.display()))
}

struct Random(ChaCha8Rng);

impl Random {
    fn uniform(&mut self, shape: &[i64], low: f32, high: f32) -> Tensor {
        let count = shape.iter().product::<i64>() as usize;
        let values: Vec<f32> = (0..count).map(|_| self.0.random_range(low..high)).collect();
        Tensor::from_slice(&values).view(shape)
    }

    /// Roughly normal, which is all that is needed: the sum of four uniform numbers, scaled to variance 1.
    fn normal(&mut self, shape: &[i64]) -> Tensor {
        let sum = (0..4).fold(Tensor::zeros(shape, (Kind::Float, Device::Cpu)), |sum, _| {
            sum + self.uniform(shape, -1.0, 1.0)
        });
        sum * 0.75_f64.sqrt()
    }

    /// The weights that a seed gives, with every norm, bias, position and statistic moved: a norm that starts at 0 or 1 and
    /// a bias that starts at 0 would hide what is wrong behind or with them.
    fn unsettled_weights(&mut self, store: &ParameterStore) -> Named {
        store
            .parameters()
            .iter()
            .map(|parameter| {
                let shape = parameter.tensor.size();
                let moved = match parameter.role {
                    Role::Weight => parameter.tensor.copy(),
                    Role::Counter => parameter.tensor.copy() + 3,
                    Role::Statistic if parameter.name.ends_with("running_var") => {
                        self.uniform(&shape, 0.5, 1.5)
                    }
                    Role::Offset if parameter.name.ends_with("weight") => self.uniform(&shape, 0.5, 1.5),
                    Role::Offset | Role::Statistic => &parameter.tensor + self.normal(&shape) * 0.2,
                };
                (parameter.name.clone(), moved.detach())
            })
            .collect()
    }

    /// Replaces the remembered statistics by about what a batch has, which a training pass has just mixed into the `store`'s: far
    /// from it all samples look alike in evaluation, and gradients are differences of nearly equal numbers.
    fn remember_statistics(&mut self, weights: &mut Named, store: &ParameterStore) {
        const MOMENTUM: f64 = 0.1;
        for parameter in store.parameters().iter().filter(|p| p.role == Role::Statistic) {
            let before = &weights[&parameter.name];
            let batch = (&parameter.tensor - before * (1.0 - MOMENTUM)) / MOMENTUM;
            let moved = batch * self.uniform(&before.size(), 0.8, 1.2);
            weights.insert(parameter.name.clone(), moved.detach());
        }
    }

    /// A batch. Whether a cell's motion is known is a coin's toss, so that about half of the positions are: the border
    /// between known and not is tested closely.
    fn inputs(&mut self, config: &ModelConfig, batch: i64) -> Named {
        let sample = &config.sample;
        let (side, cells) = (i64::from(config.crop), i64::from(config.motion_crop));
        let (windows, frames) = (
            1 + i64::from(sample.hard_negatives),
            i64::from(sample.target_frames),
        );
        let known = self
            .uniform(&[batch, windows, frames, cells, cells], 0.0, 1.0)
            .ge(0.5)
            .to_kind(Kind::Float);
        let motion = self.uniform(&[batch, windows, 2, frames, cells, cells], -1.0, 1.0) * known.unsqueeze(2);
        Named::from([
            (
                "clips".into(),
                self.uniform(&[batch, 3, i64::from(sample.clip_frames), side, side], 0.0, 1.0),
            ),
            (
                "key_frames".into(),
                self.uniform(&[batch, 3, side, side], 0.0, 1.0),
            ),
            ("motion".into(), motion),
            ("known".into(), known),
        ])
    }
}
