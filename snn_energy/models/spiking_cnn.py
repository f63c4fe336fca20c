"""The reference network: conv - batch norm - LIF - max pool blocks on directly coded images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.errors import DataError, UsageError
from snn_energy.models.neurons import LIF
from snn_energy.models.operands import PIXELS, Operand
from snn_energy.models.registry import register

SMALLEST_POOLED_MAP = 4


class Block(nn.Module):
    """conv 3x3 (padding 1) - norm - neuron - pool; the norm is nn.Identity once folded into the conv."""

    def __init__(self, in_channels: int, width: int, neuron: nn.Module, *, folded: bool, pooled: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, padding=1, bias=folded)
        self.norm = nn.Identity() if folded else nn.BatchNorm2d(width)
        self.neuron = neuron
        self.pool = nn.MaxPool2d(2) if pooled else nn.Identity()

    def current(self, x: Tensor) -> Tensor:
        """Return the normalised convolution: `b c h w -> b width h w`."""
        out: Tensor = self.norm(self.conv(x))
        return out

    def fire(self, current: Tensor) -> Tensor:
        """Return the pooled spikes of all steps: `t n width h w -> (t n) width h' w'`."""
        spikes: Tensor = self.pool(self.neuron(current).flatten(0, 1))
        return spikes


@register("spiking-cnn")
class SpikingCNN(nn.Module):
    """A plain spiking CNN: one block per entry of `widths`, then a linear read-out averaged over time.

    Direct coding: the first convolution sees the image itself, once, and its current is repeated at every
    time step; everything after it takes binary spikes. A 2x2 max pool closes a block whose map is at least 4
    wide and high. Later layers fold time into the batch, so each is one call. Logits are the mean over time
    steps of the linear layer applied to the last block's spikes.

    Args: `in_channels`, `classes`, `image_size` (side of the square image, pixels), `widths` (channels per
    block), `time_steps` (may also be set later), `decay`, `threshold`, `reset`, `surrogate` (see `neurons`),
    `folded` (convolutions carry a bias and there is no batch norm; made by `fold`).

    Shapes: images `n c h w` -> logits `n classes`; frames `t n c h w` are also taken, one per time step, and
    then `time_steps` is not used. Errors: UsageError for arguments out of range, DataError for another shape.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        image_size: int,
        widths: Sequence[int] = (16, 32, 64, 64),
        time_steps: int = 4,
        decay: float = 0.5,
        threshold: float = 1.0,
        reset: str = "hard",
        surrogate: str = "arctan",
        folded: bool = False,
    ) -> None:
        super().__init__()
        sizes = {
            "in_channels": in_channels,
            "classes": classes,
            "image_size": image_size,
            "time_steps": time_steps,
        }
        sizes |= {f"widths[{i}]": width for i, width in enumerate(widths)}
        for name, size in sizes.items():
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise UsageError(f"spiking-cnn: {name} must be an integer >= 1 (got {size!r})")
        if not widths:
            raise UsageError("spiking-cnn: widths is empty; give at least one block, like widths=(16, 32)")
        self.in_channels, self.classes, self.image_size = in_channels, classes, image_size
        self.widths = tuple(widths)
        self.time_steps = time_steps
        self.folded = folded
        self._neuron = {"decay": decay, "threshold": threshold, "reset": reset, "surrogate": surrogate}

        self.blocks = nn.ModuleList()
        channels, side = in_channels, image_size
        for width in self.widths:
            pooled = side >= SMALLEST_POOLED_MAP
            neuron = LIF(decay, threshold, reset, surrogate)
            self.blocks.append(Block(channels, width, neuron, folded=folded, pooled=pooled))
            channels, side = width, side // 2 if pooled else side
        self.head = nn.Linear(channels * side * side, classes)

    def constructor_args(self) -> dict[str, Any]:
        """Return the arguments, of plain types, that build this network again."""
        return {
            "in_channels": self.in_channels,
            "classes": self.classes,
            "image_size": self.image_size,
            "widths": list(self.widths),
            "time_steps": self.time_steps,
            **self._neuron,
            "folded": self.folded,
        }

    def operands(self) -> dict[str, Operand]:
        """What the layers take that do not take spikes."""
        return {"blocks.0.conv": PIXELS}

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits: `n c h w -> n classes`, or `t n c h w -> n classes`."""
        frame = [self.in_channels, self.image_size, self.image_size]
        if images.dim() not in (4, 5) or list(images.shape[-3:]) != frame:
            raise DataError(
                f"spiking-cnn: expected images [N, {', '.join(map(str, frame))}], or [T, N, ...] frames (got"
                f" {list(images.shape)})"
            )
        stem, *rest = self.blocks
        if images.dim() == 4:
            steps = self.time_steps
            current = stem.current(images)  # type: ignore[operator]
            current = current.unsqueeze(0).expand(steps, *current.shape)
        else:
            steps = images.shape[0]
            current = stem.current(images.flatten(0, 1)).unflatten(0, (steps, -1))  # type: ignore[operator]
        spikes = stem.fire(current)  # type: ignore[operator]
        for block in rest:
            spikes = block.fire(block.current(spikes).unflatten(0, (steps, -1)))  # type: ignore[operator]
        logits = self.head(spikes.flatten(1)).unflatten(0, (steps, -1))
        return torch.mean(logits, 0)
