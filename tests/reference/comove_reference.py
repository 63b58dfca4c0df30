"""The method's networks and losses in plain PyTorch, written from docs/model.md and not from comove's source.

Modules carry comove's parameter names, so that `load_state_dict(strict=True)` is the check of names and shapes. Shapes:
B samples, T clip frames, S the side of frames, F motion maps, s the side of motion maps, N hard negatives, P motion
positions, M memory positions, C channels, D predictor features, E embedding features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

TEMPERATURE = 0.1
TASK_WEIGHT = 0.5
BOTTLENECK_EXPANSION = 4
RGB_MEAN = (0.43216, 0.394666, 0.37645)
RGB_STD = (0.22803, 0.22145, 0.216989)

HEADS = ("clip_context", "key_frame", "predicted_motion", "motion")

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def norm(kind: str, dimensions: int, channels: int) -> nn.Module:
    """Batch norm, or group norm with the most groups, up to 32, that divide the channels."""
    if kind == "batch":
        return BATCH_NORMS[dimensions](channels)
    if kind == "group":
        return nn.GroupNorm(max(groups for groups in range(1, 33) if channels % groups == 0), channels)
    raise ValueError(f"norm is {kind!r}; allowed: batch, group")


def with_norm(kind: str, in_channels: int, out_channels: int, kernel, stride) -> nn.Module:
    """A convolution without bias that owns its norm: `weight`, `norm.…`."""
    layer = convolution(in_channels, out_channels, kernel, stride)
    layer.norm = norm(kind, len(kernel), out_channels)
    return layer


def convolution(in_channels: int, out_channels: int, kernel, stride) -> nn.Module:
    padding = tuple(size // 2 for size in kernel)
    return CONVOLUTIONS[len(kernel)](in_channels, out_channels, kernel, stride, padding, bias=False)


def normed(layer: nn.Module, x: Tensor) -> Tensor:
    return layer.norm(layer(x))


class Conv2Plus1D(nn.Module):
    """A k×k convolution in space, norm, ReLU, a convolution in time, norm (Tran et al. 2018, section 3.5)."""

    def __init__(self, kind: str, in_channels: int, out_channels: int, time: int, space: int, stride_time: int, stride_space: int):
        super().__init__()
        full = in_channels * out_channels * time * space * space
        middle = full // (in_channels * space * space + out_channels * time)
        self.spatial = convolution(in_channels, middle, (1, space, space), (1, stride_space, stride_space))
        self.mid_norm = norm(kind, 3, middle)
        self.temporal = convolution(middle, out_channels, (time, 1, 1), (stride_time, 1, 1))
        self.norm = norm(kind, 3, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.temporal(functional.relu(self.mid_norm(self.spatial(x)))))


class Bottleneck(nn.Module):
    def __init__(self, kind: str, in_channels: int, width: int, stride: int):
        super().__init__()
        out_channels = width * BOTTLENECK_EXPANSION
        self.conv1 = with_norm(kind, in_channels, width, (1, 1, 1), (1, 1, 1))
        self.conv2 = Conv2Plus1D(kind, width, width, 3, 3, stride, stride)
        self.conv3 = with_norm(kind, width, out_channels, (1, 1, 1), (1, 1, 1))
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = with_norm(kind, in_channels, out_channels, (1, 1, 1), (stride,) * 3)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(normed(self.conv1, x))
        y = functional.relu(self.conv2(y))
        y = normed(self.conv3, y)
        short_cut = x if self.downsample is None else normed(self.downsample, x)
        return functional.relu(y + short_cut)


class BasicBlock(nn.Module):
    def __init__(self, kind: str, dimensions: int, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        three, one = (3,) * dimensions, (1,) * dimensions
        self.conv1 = with_norm(kind, in_channels, out_channels, three, (stride,) * dimensions)
        self.conv2 = with_norm(kind, out_channels, out_channels, three, one)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = with_norm(kind, in_channels, out_channels, one, (stride,) * dimensions)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(normed(self.conv1, x))
        y = normed(self.conv2, y)
        short_cut = x if self.downsample is None else normed(self.downsample, x)
        return functional.relu(y + short_cut)


def basic_stages(network: nn.Module, kind: str, dimensions: int, width: int, blocks: list[int]) -> None:
    in_channels = width
    for index, count in enumerate(blocks):
        out_channels = width << index
        stage = []
        for block in range(count):
            stride = 2 if index > 0 and block == 0 else 1
            stage.append(BasicBlock(kind, dimensions, in_channels, out_channels, stride))
            in_channels = out_channels
        setattr(network, f"layer{index + 1}", nn.Sequential(*stage))


def seen(view_norm: str, views: Tensor) -> Tensor:
    """Normalised views [B, 3, …] as the first convolution gets them."""
    if view_norm == "none":
        return views
    if view_norm != "view":
        raise ValueError(f"unknown view_norm {view_norm}")
    # In this order, so that sums round alike (see Attention).
    places = tuple(range(1, views.dim()))
    centred = views - views.mean(places, keepdim=True)
    return centred / (centred.square().mean(places, keepdim=True).sqrt() + 0.05)


class VideoNetwork(nn.Module):
    """V: R(2+1)D of bottlenecks."""

    def __init__(self, config: dict):
        super().__init__()
        kind, width = config["norm"], config["video"]["width"]
        self.view_norm = config["view_norm"]
        self.stem = Conv2Plus1D(kind, 3, width, 3, 7, 1, 2)
        in_channels = width
        for index, count in enumerate(config["video"]["blocks"]):
            stage = []
            for block in range(count):
                stride = 2 if index > 0 and block == 0 else 1
                stage.append(Bottleneck(kind, in_channels, width << index, stride))
                in_channels = (width << index) * BOTTLENECK_EXPANSION
            setattr(self, f"layer{index + 1}", nn.Sequential(*stage))

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, T, S, S] → layer 3 [B, C/2, T/4, g, g] and layer 4 [B, C, T/8, ⌈g/2⌉, ⌈g/2⌉]."""
        x = functional.relu(self.stem(seen(self.view_norm, clips)))
        x = functional.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        layer3 = self.layer3(self.layer2(self.layer1(x)))
        return layer3, self.layer4(layer3)

    @staticmethod
    def pooled(layer4: Tensor) -> Tensor:
        return layer4.mean((2, 3, 4))

    @staticmethod
    def pretraining(layer3: Tensor, layer4: Tensor) -> Tensor:
        """Layer 4 scaled up in space, plus layer 3's even frames and odd frames side by side: [B, C, T/8, g, g]."""
        pairs = torch.cat([layer3[:, :, 0::2], layer3[:, :, 1::2]], dim=1)
        return functional.interpolate(layer4, size=pairs.shape[2:], mode="trilinear", align_corners=False) + pairs


class KeyFrameNetwork(nn.Module):
    """I: R2D of basic blocks."""

    def __init__(self, config: dict):
        super().__init__()
        kind, width = config["norm"], config["key_frame"]["width"]
        self.view_norm = config["view_norm"]
        self.stem = with_norm(kind, 3, width, (7, 7), (2, 2))
        basic_stages(self, kind, 2, width, config["key_frame"]["blocks"])

    def forward(self, key_frames: Tensor) -> Tensor:
        """[B, 3, S, S] → [B, C]."""
        x = functional.relu(normed(self.stem, seen(self.view_norm, key_frames)))
        x = functional.max_pool2d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3))


class MotionNetwork(nn.Module):
    """M: R3D of basic blocks over motion maps."""

    def __init__(self, config: dict):
        super().__init__()
        kind, width = config["norm"], config["motion"]["width"]
        # How comove lays its maps out; for comparisons, so that sums round alike (see Attention).
        self.channels_last = False
        self.pools = {"pooled": True, "plain": False}[config["motion_stem"]]
        self.stem = with_norm(kind, 2, width, (3, 7, 7), (1, 1, 1))
        basic_stages(self, kind, 3, width, config["motion"]["blocks"])

    def grid(self, motion: Tensor) -> Tensor:
        """[B, 2, F, s, s] → [B, C, frames, rows, columns]."""
        if self.channels_last:
            motion = motion.contiguous(memory_format=torch.channels_last_3d)
        x = functional.relu(normed(self.stem, motion))
        if self.pools:
            x = functional.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward(self, motion: Tensor) -> Tensor:
        """[B, 2, F, s, s] → [B, P, C], positions row-major."""
        return self.grid(motion).flatten(2).transpose(1, 2)


class Attention(nn.MultiheadAttention):
    """PyTorch's attention, computed with samples first throughout as comove does, so that matrix products round alike: one
    pre-activation of a million that rounds to the other side of 0 turns its ReLU's gradient on or off, which is an error of 1e-2
    in a bias's gradient. `check_attention` holds this to PyTorch's own."""

    def __init__(self, features: int, heads: int, dropout: float):
        super().__init__(features, heads, dropout, batch_first=True)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """[B, Q, D], [B, K, D], [B, K, D] → [B, Q, D]."""
        parts = zip((query, key, value), self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3))
        q, k, v = (
            functional.linear(x, weight, bias).unflatten(2, (self.num_heads, self.head_dim)).transpose(1, 2)
            for x, weight, bias in parts
        )
        dropout = self.dropout if self.training else 0.0
        return self.out_proj(functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout).transpose(1, 2).flatten(2))


def check_attention() -> None:
    """`Attention` equals `nn.MultiheadAttention`, in double precision."""
    ours = Attention(24, 4, 0.0).double()
    nn.init.normal_(ours.in_proj_bias)
    query, key, value = torch.randn(2, 5, 24).double(), torch.randn(2, 7, 24).double(), torch.randn(2, 7, 24).double()
    theirs = nn.MultiheadAttention.forward(ours, query, key, value, need_weights=False)[0]
    torch.testing.assert_close(ours(query, key, value), theirs)


class EncoderLayer(nn.Module):
    def __init__(self, features: int, heads: int, hidden: int, dropout: float):
        super().__init__()
        self.self_attn = Attention(features, heads, dropout)
        self.norm1 = nn.LayerNorm(features)
        self.linear1 = nn.Linear(features, hidden)
        self.linear2 = nn.Linear(hidden, features)
        self.norm2 = nn.LayerNorm(features)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        at = x + position
        x = self.norm1(x + self.self_attn(at, at, x))
        return self.norm2(x + self.linear2(functional.relu(self.linear1(x))))


class DecoderLayer(nn.Module):
    def __init__(self, features: int, heads: int, hidden: int, dropout: float):
        super().__init__()
        self.self_attn = Attention(features, heads, dropout)
        self.norm1 = nn.LayerNorm(features)
        self.multihead_attn = Attention(features, heads, dropout)
        self.norm2 = nn.LayerNorm(features)
        self.linear1 = nn.Linear(features, hidden)
        self.linear2 = nn.Linear(hidden, features)
        self.norm3 = nn.LayerNorm(features)

    def forward(self, x: Tensor, query_position: Tensor, memory: Tensor, memory_position: Tensor) -> Tensor:
        at = x + query_position
        x = self.norm1(x + self.self_attn(at, at, x))
        found = self.multihead_attn(x + query_position, memory + memory_position, memory)
        x = self.norm2(x + found)
        return self.norm3(x + self.linear2(functional.relu(self.linear1(x))))


class MotionPredictor(nn.Module):
    def __init__(self, config: dict, in_features: int, memory_positions: int, motion_positions: int):
        super().__init__()
        sizes = config["predictor"]
        features = sizes["features"]
        layer = (features, sizes["heads"], sizes["feed_forward"], sizes["dropout"])
        self.input = nn.Linear(in_features, features)
        self.memory_position = nn.Parameter(torch.empty(memory_positions, features))
        self.query_position = nn.Parameter(torch.empty(motion_positions, features))
        self.encoder = nn.ModuleList(EncoderLayer(*layer) for _ in range(sizes["encoder_layers"]))
        self.decoder = nn.ModuleList(DecoderLayer(*layer) for _ in range(sizes["decoder_layers"]))

    def forward(self, features: Tensor) -> Tensor:
        """[B, M, C] → [B, P, D]."""
        memory = self.input(features)
        for layer in self.encoder:
            memory = layer(memory, self.memory_position)
        queries = torch.zeros_like(self.query_position).expand(features.shape[0], -1, -1)
        for layer in self.decoder:
            queries = layer(queries, self.query_position, memory, self.memory_position)
        return queries


class Head(nn.Module):
    def __init__(self, kind: str, in_features: int, hidden: int, out_features: int):
        super().__init__()
        self.fc1 = nn.Linear(in_features, hidden)
        self.norm1 = norm(kind, 1, hidden)
        self.fc2 = nn.Linear(hidden, out_features)
        self.norm2 = norm(kind, 1, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in] → [N, out], rows of length 1."""
        x = functional.relu(self.norm1(self.fc1(x)))
        return functional.normalize(self.norm2(self.fc2(x)), dim=1)


@dataclass
class Embeddings:
    clip_context: Tensor  # [B, E]
    key_frame: Tensor  # [B, E]
    predicted_motion: Tensor  # [B, P, E]
    motion: Tensor  # [B, 1 + N, P, E]
    motion_known: Tensor  # [B, 1 + N, P], boolean
    pooled: Tensor  # [B, C]


class Reference(nn.Module):
    """All of it, under comove's names."""

    def __init__(self, config: dict):
        super().__init__()
        kind, hidden, out = config["norm"], config["head_hidden"], config["embedding"]
        video = 8 * BOTTLENECK_EXPANSION * config["video"]["width"]
        key_frame = 8 * config["key_frame"]["width"]
        motion = 8 * config["motion"]["width"]
        predicted = config["predictor"]["features"]
        self.memory_grid = halvings(config["sample"]["clip_frames"], 3), *(halvings(config["crop"], 4),) * 2
        rows = halvings(config["motion_crop"], 3 + (config["motion_stem"] == "pooled"))
        self.motion_grid = halvings(config["sample"]["target_frames"], 3), rows, rows
        self.v = VideoNetwork(config)
        self.i = KeyFrameNetwork(config)
        self.m = MotionNetwork(config)
        self.predictor = MotionPredictor(config, video, math.prod(self.memory_grid), math.prod(self.motion_grid))
        self.head = nn.ModuleDict(
            {
                "clip_context": Head(kind, video, hidden, out),
                "key_frame": Head(kind, key_frame, hidden, out),
                "predicted_motion": Head(kind, predicted, hidden, out),
                "motion": Head(kind, motion, hidden, out),
            }
        )

    def forward(self, clips: Tensor, key_frames: Tensor, motion: Tensor, known: Tensor) -> Embeddings:
        layer3, layer4 = self.v(clips)
        memory = self.v.pretraining(layer3, layer4)
        assert memory.shape[2:] == self.memory_grid, (memory.shape, self.memory_grid)
        batch, windows = motion.shape[:2]
        predicted = self.predictor(memory.flatten(2).transpose(1, 2))
        seen = self.m(motion.flatten(0, 1))
        return Embeddings(
            clip_context=self.head["clip_context"](memory.mean((2, 3, 4))),
            key_frame=self.head["key_frame"](self.i(key_frames)),
            predicted_motion=self.head["predicted_motion"](predicted.flatten(0, 1)).view(batch, predicted.shape[1], -1),
            motion=self.head["motion"](seen.flatten(0, 1)).view(batch, windows, seen.shape[1], -1),
            motion_known=self.known_positions(known),
            pooled=self.v.pooled(layer4).detach(),
        )

    def known_positions(self, known: Tensor) -> Tensor:
        """[B, 1 + N, F, s, s] → [B, 1 + N, P]: at least half of a position's cells are known."""
        return functional.adaptive_avg_pool3d(known, self.motion_grid).flatten(2) >= 0.5


def vanishing_gradients(config: dict, training: bool, whole: bool) -> set[str]:
    """Parameters whose gradient is 0 by construction, so that computed ones are rounding noise: the first decoder layer's
    self-attention, whose values are the same at every position, and biases whose mean a batch norm takes away. For the whole
    model these include the predictor's last bias, and nearly the one before: its mean survives the layer norm between only as far
    as positions differ in length."""
    names = {"predictor.decoder.0.self_attn.in_proj_weight"}
    if training and config["norm"] == "batch":
        names |= {f"head.{head}.fc{layer}.bias" for head in HEADS for layer in (1, 2)}
        if whole:
            last = config["predictor"]["decoder_layers"] - 1
            names |= {f"predictor.decoder.{last}.norm3.bias", f"predictor.decoder.{last}.linear2.bias"}
    return names


def halvings(size: int, times: int) -> int:
    for _ in range(times):
        size = (size + 1) // 2
    return size


def normalise_rgb(pixels: Tensor) -> Tensor:
    """[B, 3, …] in 0..1 → what the networks are fed with."""
    shape = (1, 3) + (1,) * (pixels.dim() - 2)
    return (pixels - pixels.new_tensor(RGB_MEAN).view(shape)) / pixels.new_tensor(RGB_STD).view(shape)


@dataclass
class Contrast:
    loss: Tensor
    top1: float
    chance: float
    queries: int


def info_nce(questions: list[tuple[Tensor, Tensor, list[Tensor]]]) -> Contrast:
    """−log of the positive's soft-max share, averaged over (query, positive, negatives) with at least one negative."""
    losses, right, chance = [], 0, 0.0
    for query, positive, negatives in questions:
        if not negatives:
            continue
        similarities = torch.stack([positive, *negatives]) @ query / TEMPERATURE
        losses.append(torch.logsumexp(similarities, 0) - similarities[0])
        right += int(similarities.argmax() == 0)
        chance += 1 / len(similarities)
    if not losses:
        return Contrast(torch.zeros(()), 0.0, 0.0, 0)
    return Contrast(torch.stack(losses).mean(), right / len(losses), chance / len(losses), len(losses))


def context_loss(clips: Tensor, key_frames: Tensor, segments: list[int]) -> Contrast:
    """Each clip finds its key frame among those of the batch; key frames of the same segment are no negatives."""
    questions = []
    for asking, clip in enumerate(clips):
        negatives = [frame for other, frame in enumerate(key_frames) if segments[other] != segments[asking]]
        questions.append((clip, key_frames[asking], negatives))
    return info_nce(questions)


def motion_loss(predicted: Tensor, motion: Tensor, known: Tensor, segments: list[int]) -> Contrast:
    """Each predicted position finds its motion among all known positions of all windows of the batch, but for those of
    other samples of its segment."""
    batch, windows, positions = motion.shape[:3]
    rows = [[window.unbind(0) for window in sample.unbind(0)] for sample in motion.unbind(0)]
    questions = []
    for asking in range(batch):
        for place in range(positions):
            if not known[asking, 0, place]:
                continue
            negatives = []
            for sample in range(batch):
                if sample != asking and segments[sample] == segments[asking]:
                    continue
                for window in range(windows):
                    for position in range(positions):
                        if (sample, window, position) != (asking, 0, place) and known[sample, window, position]:
                            negatives.append(rows[sample][window][position])
            questions.append((predicted[asking, place], rows[asking][0][place], negatives))
    return info_nce(questions)


def joint_loss(embeddings: Embeddings, segments: list[int]) -> tuple[Tensor, Contrast, Contrast]:
    context = context_loss(embeddings.clip_context, embeddings.key_frame, segments)
    motion = motion_loss(embeddings.predicted_motion, embeddings.motion, embeddings.motion_known, segments)
    return TASK_WEIGHT * context.loss + TASK_WEIGHT * motion.loss, context, motion
