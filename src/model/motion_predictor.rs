use tch::Tensor;

use super::attention::Attention;
use super::error::expect_shape;
use super::linear::{LayerNorm, Linear};
use super::{Init, ModelConfig, ModelError, Pass, PredictorConfig, Scope};

/// Predicts what moves next at every position from what a clip shows: a transformer (paper, section 3.3) whose learned
/// positions enter queries and keys only, as in DETR (Carion et al. 2020).
#[derive(Debug)]
pub struct MotionPredictor {
    input: Linear,
    memory_position: Tensor,
    query_position: Tensor,
    encoder: Vec<EncoderLayer>,
    decoder: Vec<DecoderLayer>,
    input_shape: [i64; 3],
}

impl MotionPredictor {
    /// From `in_features` at each memory position to `config.predictor.features` at each motion position.
    pub fn new(mut scope: Scope<'_>, config: &ModelConfig, in_features: i64) -> Result<Self, ModelError> {
        let shape = config.predictor;
        let features = i64::from(shape.features);
        let memory = config.memory_positions();
        let queries = config.motion_positions();
        let normal = Init::Normal { std: 1.0 };
        let input = Linear::new(scope.enter("input"), in_features, features)?;
        let memory_position = scope.offset("memory_position", &[memory, features], normal)?;
        let query_position = scope.offset("query_position", &[queries, features], normal)?;
        let mut layers = scope.enter("encoder");
        let encoder = (0..shape.encoder_layers)
            .map(|index| EncoderLayer::new(layers.enter(index), shape))
            .collect::<Result<_, _>>()?;
        let mut layers = scope.enter("decoder");
        let decoder = (0..shape.decoder_layers)
            .map(|index| DecoderLayer::new(layers.enter(index), shape))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            input,
            memory_position,
            query_position,
            encoder,
            decoder,
            input_shape: [-1, memory, in_features],
        })
    }

    /// Clip features by position `[B, M, C]` → predicted motion features `[B, P, D]`.
    pub fn forward(&self, features: &Tensor, pass: Pass) -> Result<Tensor, ModelError> {
        expect_shape("predictor input", features, &self.input_shape)?;
        let mut memory = self.input.forward(features, pass);
        for layer in &self.encoder {
            memory = layer.forward(&memory, &self.memory_position, pass);
        }
        let mut x = self
            .query_position
            .zeros_like()
            .unsqueeze(0)
            .repeat([features.size()[0], 1, 1]);
        for layer in &self.decoder {
            x = layer.forward(&x, &self.query_position, &memory, &self.memory_position, pass);
        }
        Ok(x)
    }
}

/// Self-attention and a feed-forward part, each added to its input and normalised after.
#[derive(Debug)]
struct EncoderLayer {
    self_attention: Attention,
    norm1: LayerNorm,
    feed_forward: FeedForward,
    norm2: LayerNorm,
    dropout: f64,
}

impl EncoderLayer {
    fn new(mut scope: Scope<'_>, shape: PredictorConfig) -> Result<Self, ModelError> {
        let (features, heads) = (i64::from(shape.features), i64::from(shape.heads));
        Ok(Self {
            self_attention: Attention::new(scope.enter("self_attn"), features, heads, shape.dropout)?,
            norm1: LayerNorm::new(scope.enter("norm1"), features)?,
            feed_forward: FeedForward::new(&mut scope, shape)?,
            norm2: LayerNorm::new(scope.enter("norm2"), features)?,
            dropout: shape.dropout,
        })
    }

    fn forward(&self, x: &Tensor, position: &Tensor, pass: Pass) -> Tensor {
        let placed = x + position;
        let attended = self.self_attention.forward(&placed, &placed, x, pass);
        let x = self
            .norm1
            .forward(&(x + attended.dropout(self.dropout, pass.training())));
        let fed = self.feed_forward.forward(&x, pass);
        self.norm2
            .forward(&(x + fed.dropout(self.dropout, pass.training())))
    }
}

/// As an encoder layer, with attention to the encoder's output between.
#[derive(Debug)]
struct DecoderLayer {
    self_attention: Attention,
    norm1: LayerNorm,
    cross_attention: Attention,
    norm2: LayerNorm,
    feed_forward: FeedForward,
    norm3: LayerNorm,
    dropout: f64,
}

impl DecoderLayer {
    fn new(mut scope: Scope<'_>, shape: PredictorConfig) -> Result<Self, ModelError> {
        let (features, heads) = (i64::from(shape.features), i64::from(shape.heads));
        Ok(Self {
            self_attention: Attention::new(scope.enter("self_attn"), features, heads, shape.dropout)?,
            norm1: LayerNorm::new(scope.enter("norm1"), features)?,
            cross_attention: Attention::new(scope.enter("multihead_attn"), features, heads, shape.dropout)?,
            norm2: LayerNorm::new(scope.enter("norm2"), features)?,
            feed_forward: FeedForward::new(&mut scope, shape)?,
            norm3: LayerNorm::new(scope.enter("norm3"), features)?,
            dropout: shape.dropout,
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        query_position: &Tensor,
        memory: &Tensor,
        memory_position: &Tensor,
        pass: Pass,
    ) -> Tensor {
        let dropped = |branch: Tensor| branch.dropout(self.dropout, pass.training());
        let placed = x + query_position;
        let attended = self.self_attention.forward(&placed, &placed, x, pass);
        let x = self.norm1.forward(&(x + dropped(attended)));
        let (query, key) = (&x + query_position, memory + memory_position);
        let attended = self.cross_attention.forward(&query, &key, memory, pass);
        let x = self.norm2.forward(&(x + dropped(attended)));
        let fed = self.feed_forward.forward(&x, pass);
        self.norm3.forward(&(x + dropped(fed)))
    }
}

/// Linear, ReLU, linear, at every position.
#[derive(Debug)]
struct FeedForward {
    linear1: Linear,
    linear2: Linear,
    dropout: f64,
}

impl FeedForward {
    fn new(scope: &mut Scope<'_>, shape: PredictorConfig) -> Result<Self, ModelError> {
        let (features, hidden) = (i64::from(shape.features), i64::from(shape.feed_forward));
        Ok(Self {
            linear1: Linear::new(scope.enter("linear1"), features, hidden)?,
            linear2: Linear::new(scope.enter("linear2"), hidden, features)?,
            dropout: shape.dropout,
        })
    }

    fn forward(&self, x: &Tensor, pass: Pass) -> Tensor {
        let hidden = self
            .linear1
            .forward(x, pass)
            .relu()
            .dropout(self.dropout, pass.training());
        self.linear2.forward(&hidden, pass)
    }
}
