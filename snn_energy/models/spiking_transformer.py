"""Spiking transformer: conv patch embedding, self-attention without softmax on spikes, and a spiking MLP.

    q, k, v = LIF(BN(X W))                        spikes
    attention = LIF(q k^T v * scale)              no softmax: q k^T of spikes is never negative
    X <- X + LIF(BN(attention W)); X <- X + MLP(X)    residual sums are small integers

Source: Z. Zhou et al., "Spikformer: when spiking neural network meets transformer", ICLR 2023, arXiv:2209.15425,
section 3: patch splitting with a convolutional position embedding, spiking self-attention (SSA), MLP. The defaults are
Spikformer-4-256 for 32x32 images; dim 384, 12 heads and patch widths (48, 96, 192) make Spikformer-4-384. Its linear
layers have no bias here: the batch norm behind each has one. The scale 0.125 and the attention neuron's threshold 0.5
are those of the paper's code.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from snn_energy.errors import UsageError
from snn_energy.models.clock import Clock
from snn_energy.models.image_network import ImageNetwork
from snn_energy.models.operands import PIXELS, Operand
from snn_energy.models.registry import register
from snn_energy.models.units import Style, check_sizes


class PatchEmbedding(nn.Module):
    """Conv units, the last `pools` of them closed by a 2x2 max pool, then a conv unit added as position embedding."""

    def __init__(self, widths: Sequence[int], pools: int, style: Style) -> None:
        super().__init__()
        self.stages = nn.ModuleList(style.conv(a, b) for a, b in pairwise(widths))
        self.pool = nn.MaxPool2d(2)
        self.unpooled = len(self.stages) - pools
        self.position = style.conv(widths[-1], widths[-1])

    def forward(self, x: Tensor, clock: Clock) -> Tensor:
        """Frames `b c h w` -> tokens `b (h' w') dim`, small integers."""
        for i, unit in enumerate(self.stages):
            x = unit(x, clock)
            if i >= self.unpooled:
                x = self.pool(x)
        tokens: Tensor = (x + self.position(x, clock)).flatten(2).transpose(1, 2)
        return tokens


class SpikingSelfAttention(nn.Module):
    """Attention on spikes: q k^T v * scale, fired again, then projected."""

    def __init__(self, dim: int, heads: int, scale: float, threshold: float, style: Style) -> None:
        super().__init__()
        self.q, self.k, self.v = style.linear(dim, dim), style.linear(dim, dim), style.linear(dim, dim)
        self.neuron = style.neuron(threshold)
        self.out = style.linear(dim, dim)
        self.heads, self.scale = heads, scale

    def forward(self, x: Tensor, clock: Clock) -> Tensor:
        """Tokens `b l (h e)` -> spikes `b l (h e)`."""

        def split(spikes: Tensor) -> Tensor:  # b l (h e) -> b h l e
            return spikes.reshape(*spikes.shape[:2], self.heads, -1).transpose(1, 2)

        q, k, v = split(self.q(x, clock)), split(self.k(x, clock)), split(self.v(x, clock))
        mixed = (q @ k.transpose(-1, -2)) @ v * self.scale
        attention: Tensor = self.out(clock.fire(self.neuron, mixed.transpose(1, 2).flatten(2)), clock)
        return attention


class Block(nn.Module):
    """Attention and MLP, each with a residual sum."""

    def __init__(self, dim: int, heads: int, ratio: int, scale: float, threshold: float, style: Style) -> None:
        super().__init__()
        self.attention = SpikingSelfAttention(dim, heads, scale, threshold, style)
        self.hidden, self.out = style.linear(dim, dim * ratio), style.linear(dim * ratio, dim)

    def forward(self, x: Tensor, clock: Clock) -> Tensor:
        """Tokens `b l d` -> tokens `b l d`, small integers."""
        x = x + self.attention(x, clock)
        joined: Tensor = x + self.out(self.hidden(x, clock), clock)
        return joined


@register("spiking-transformer")
class SpikingTransformer(ImageNetwork):
    """Spikformer-style vision transformer; logits come from the mean of the tokens.

    Args: `in_channels`, `classes`, `image_size` (side of the square image, pixels), `dim` (channels of a token),
    `depth` (blocks), `heads`, `mlp_ratio`, `patch_widths` (channels of the embedding's convolutions before the one to
    `dim`), `patch_pools` (how many of its last convolutions halve the image: (image_size / 2^pools)^2 tokens),
    `scale` (of q k^T v), `attention_threshold`, `time_steps`, `decay`, `threshold`, `reset`, `surrogate` (see
    `neurons`), `folded` (weights carry a bias and there is no batch norm), `stepped` (see `clock`).

    Shapes: images `n c h w` or frames `t n c h w` -> logits `n classes`. Errors: UsageError, DataError.
    """

    registered_name = "spiking-transformer"

    def __init__(
        self,
        in_channels: int,
        classes: int,
        image_size: int,
        dim: int = 256,
        depth: int = 4,
        heads: int = 8,
        mlp_ratio: int = 4,
        patch_widths: Sequence[int] = (32, 64, 128),
        patch_pools: int = 2,
        scale: float = 0.125,
        attention_threshold: float = 0.5,
        time_steps: int = 4,
        decay: float = 0.5,
        threshold: float = 1.0,
        reset: str = "hard",
        surrogate: str = "arctan",
        folded: bool = False,
        stepped: bool = False,
    ) -> None:
        style = Style(
            decay=decay, threshold=threshold, reset=reset, surrogate=surrogate, folded=folded, stepped=stepped
        )
        args: dict[str, Any] = {
            "in_channels": in_channels,
            "classes": classes,
            "image_size": image_size,
            "dim": dim,
            "depth": depth,
            "heads": heads,
            "mlp_ratio": mlp_ratio,
            "patch_widths": list(patch_widths),
            "patch_pools": patch_pools,
            "scale": scale,
            "attention_threshold": attention_threshold,
            "time_steps": time_steps,
            "decay": decay,
            "threshold": threshold,
            "reset": reset,
            "surrogate": surrogate,
            "folded": folded,
            "stepped": stepped,
        }
        super().__init__(args, style)
        sizes = ("dim", "depth", "heads", "mlp_ratio", "patch_pools")
        check_sizes("spiking-transformer", **{name: args[name] for name in sizes})
        check_sizes("spiking-transformer", **{f"patch_widths[{i}]": width for i, width in enumerate(patch_widths)})
        if dim % heads:
            raise UsageError(f"spiking-transformer: dim must be a multiple of heads (got dim {dim}, heads {heads})")
        if patch_pools > len(patch_widths) + 1 or not image_size >> patch_pools:
            raise UsageError(
                f"spiking-transformer: patch_pools must be at most the embedding's {len(patch_widths) + 1} "
                f"convolutions, and halve the image as often (got patch_pools {patch_pools}, image_size {image_size}); "
                "pool less"
            )
        self.embedding = PatchEmbedding((in_channels, *patch_widths, dim), patch_pools, style)
        self.blocks = nn.ModuleList(
            Block(dim, heads, mlp_ratio, scale, attention_threshold, style) for _ in range(depth)
        )
        self.head = nn.Linear(dim, classes)
        self.tokens = (image_size >> patch_pools) ** 2

    def operands(self) -> dict[str, Operand]:
        """What the layers take that do not take spikes; each residual sum counts one spike more."""
        takes, most = {"embedding.stages.0.conv": PIXELS}, 2.0  # the embedding and its position embedding
        for i in range(len(self.blocks)):
            takes |= {f"blocks.{i}.attention.{name}.linear": Operand(most) for name in ("q", "k", "v")}
            takes[f"blocks.{i}.hidden.linear"] = Operand(most + 1)
            most += 2
        return {**takes, "head": Operand(most).mean(self.tokens)}

    def logits(self, x: Tensor, clock: Clock) -> Tensor:
        """Frames `b c h w` -> logits `b classes`."""
        x = self.embedding(x, clock)
        for block in self.blocks:
            x = block(x, clock)
        logits: Tensor = self.head(x.mean(1))
        return logits
