"""The skeleton of the windowed networks: a patch network of four stages, without any normalisation.

    stem: conv 2x2, stride 2                             `n c h w -> n h/2 w/2 widths[0]`
    block: x <- x + FC(condense(unit(windows(x))))       unit: spikes in, spikes out; see `cnn_unit`, `rnn_unit`
           x <- x + W2 GELU(W1 x)                        real-valued
    between stages: 2x2 patch merging, 4c -> Linear -> 2c without bias
    head: mean over the map, Linear

Source: Yao et al., ACML 2023, arXiv:2401.10843, and the behaviour of the released network. Initial weights: Linear
Xavier-uniform, convolutions LeCun-normal (cut at two standard deviations), LSTM uniform within 1/sqrt(hidden), biases
0, those of the MLP normal with 1e-6, the head's weight 0.

Time. An image is shown at all T time steps; nothing before the first encoder knows of time, so the stem runs once.
Encoders draw anew at each step, features have a time axis from there on, logits are the mean over time steps. The T
steps of a window run inside its unit, before the next window starts; see `neuron`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from snn_energy.errors import DataError, UsageError
from snn_energy.models.units import check_sizes
from snn_energy.models.windowed.condense import Condense
from snn_energy.models.windowed.encoders import SpikeEncoder
from snn_energy.models.windowed.grid import WindowGrid

TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a standard normal distribution cut at two: what a cut one has to be divided by."""


class MLP(nn.Module):
    """W2 GELU(W1 x), real-valued."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, ratio * channels)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(ratio * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Features `... c` -> `... c`."""
        out: Tensor = self.fc2(self.act(self.fc1(x)))
        return out


class PatchMerging(nn.Module):
    """Four neighbours become one position: their channels side by side, through a linear layer without bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `... (h 2) (w 2) c` -> `... h w 2c`."""
        *outer, height, width, channels = x.shape
        patches = x.reshape(*outer, height // 2, 2, width // 2, 2, channels).transpose(-4, -3)
        merged: Tensor = self.linear(patches.flatten(-3))
        return merged


class WindowBlock(nn.Module):
    """One block: the window unit and the MLP, each with a residual sum."""

    def __init__(
        self, channels: int, grid: WindowGrid, unit: nn.Module, unit_width: int, encoder: SpikeEncoder, rule: str,
        mlp_ratio: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.grid = grid
        self.encoder, self.unit, self.condense = encoder, unit, Condense(grid, rule)
        self.fc = nn.Linear(unit_width, channels)
        self.mlp = MLP(channels, mlp_ratio)

    def forward(self, x: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Features `t n h w c` and the units' memory -> the same, one block further."""
        spikes, memory = self.unit(self.encoder(self.grid.cut(x)), memory)
        x = x + self.fc(self.condense(spikes))
        return x + self.mlp(x), memory


class Stage(nn.Module):
    """Blocks on maps of one size, and what leads to the next stage: patch merging of features and of the memory."""

    def __init__(self, blocks: Sequence[nn.Module], merge: nn.Module | None, merge_memory: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.merge, self.merge_memory = merge, merge_memory

    def forward(self, x: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Features `t n h w c` and memory -> those of the next stage."""
        for block in self.blocks:
            x, memory = block(x, memory)
        if self.merge is not None:
            x = self.merge(x)
        if self.merge_memory is not None and memory is not None:
            memory = self.merge_memory(memory)
        return x, memory


class WindowedNetwork(nn.Module):
    """What both windowed networks share; they pass how a block's unit is made, and say how wide its spikes are."""

    registered_name = ""
    unit_width = 1
    """Channels of a unit's spikes for each channel of its block."""
    keeps_memory = False
    """Whether a map of membranes runs through the blocks, and is merged between stages."""

    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        self._args = args
        self._check()
        self.time_steps: int = args["time_steps"]
        widths, grids = args["widths"], stage_grids(self.registered_name, args)
        last = len(widths) - 1
        self.stem = nn.Conv2d(args["in_channels"], widths[0], 2, stride=2)
        self.stages = nn.ModuleList(
            Stage(
                [self._block(width, grid) for grid in grids[i]],
                PatchMerging(width) if i < last else None,
                PatchMerging(self.unit_width * width) if i < last and self.keeps_memory else None,
            )
            for i, width in enumerate(widths)
        )
        self.head = nn.Linear(widths[-1], args["classes"])
        initialise(self)

    def make_unit(self, channels: int, grid: WindowGrid) -> nn.Module:
        """The window unit of one block."""
        raise NotImplementedError

    def _block(self, channels: int, grid: WindowGrid) -> WindowBlock:
        args = self._args
        encoder = SpikeEncoder(args["encoder"], args["eval_encoder"])
        unit, width = self.make_unit(channels, grid), self.unit_width * channels
        return WindowBlock(channels, grid, unit, width, encoder, args["condense"], args["mlp_ratio"])

    def _check(self) -> None:
        args, name = self._args, self.registered_name
        sizes = {key: args[key] for key in ("in_channels", "classes", "image_size", "time_steps", "mlp_ratio", "grid")}
        sizes |= {f"widths[{i}]": width for i, width in enumerate(args["widths"])}
        sizes |= {f"depths[{i}]": depth for i, depth in enumerate(args["depths"])}
        check_sizes(name, **sizes)
        widths, depths = args["widths"], args["depths"]
        if not widths or len(widths) != len(depths):
            raise UsageError(
                f"{name}: widths and depths need one number for each stage (got {list(widths)} and {list(depths)})"
            )
        if any(after != 2 * before for before, after in pairwise(widths)):
            raise UsageError(f"{name}: every stage is twice as wide as the one before (got widths {list(widths)})")
        if args["image_size"] % 2 ** len(widths):
            raise UsageError(
                f"{name}: image_size must be a multiple of {2 ** len(widths)}, as the map is halved {len(widths)} "
                f"times (got {args['image_size']})"
            )

    def constructor_args(self) -> dict[str, Any]:
        """Return the arguments, of plain types, that build this network again; encoders as they are now."""
        now = next((module for module in self.modules() if isinstance(module, SpikeEncoder)), None)
        encoders = {} if now is None else {"encoder": now.training_form, "eval_encoder": now.evaluation_form}
        return {**self._args, "time_steps": self.time_steps, **encoders}

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits: `n c h w -> n classes`, or frames `t n c h w -> n classes`. Errors: DataError."""
        side = self._args["image_size"]
        frame = [self._args["in_channels"], side, side]
        if images.dim() not in (4, 5) or list(images.shape[-3:]) != frame:
            raise DataError(
                f"{self.registered_name}: expected images [N, {', '.join(map(str, frame))}], or [T, N, ...] frames "
                f"(got {list(images.shape)})"
            )
        if images.dim() == 4:
            x = self._patches(images)
            x = x.expand(self.time_steps, *x.shape)
        else:
            x = self._patches(images.flatten(0, 1))
            x = x.reshape(*images.shape[:2], *x.shape[1:])
        memory: Tensor | None = None
        for stage in self.stages:
            x, memory = stage(x, memory)
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits.mean(0) if len(logits) > 1 else logits[0]

    def _patches(self, images: Tensor) -> Tensor:
        patches: Tensor = self.stem(images).permute(0, 2, 3, 1).contiguous()
        return patches


def paper_schedule(depths: Sequence[int]) -> list[list[int]]:
    """The blocks of each stage that are dilated: plain and dilated in turn, all plain in the last stage."""
    return [list(range(1, depth, 2)) if i < len(depths) - 1 else [] for i, depth in enumerate(depths)]


def stage_grids(network: str, args: dict[str, Any]) -> list[list[WindowGrid]]:
    """The grid of every block. Errors: UsageError for a schedule that names no block, or a map that cannot be cut."""
    depths, schedule = args["depths"], args["dilated"]
    if len(schedule) != len(depths) or any(
        isinstance(block, bool) or not isinstance(block, int) or not 0 <= block < depth
        for depth, blocks in zip(depths, schedule)
        for block in blocks
    ):
        raise UsageError(
            f"{network}: dilated must hold, for each of the {len(depths)} stages, a list of its dilated blocks, "
            f"counted from 0 (got {schedule!r} for depths {list(depths)})"
        )
    sides = [args["image_size"] // 2 ** (i + 1) for i in range(len(depths))]
    return [
        [WindowGrid(side, args["grid"], block in blocks) for block in range(depth)]
        for side, depth, blocks in zip(sides, depths, schedule, strict=True)
    ]


def initialise(network: WindowedNetwork) -> None:
    """Draw the initial weights; see the text of this module."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            spread = 1 / math.sqrt(module.weight[0].numel()) / TRUNCATED_STD
            nn.init.trunc_normal_(module.weight, std=spread, a=-2 * spread, b=2 * spread)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        elif isinstance(module, nn.LSTM):
            bound = 1 / math.sqrt(module.hidden_size)
            for parameter in module.parameters():
                nn.init.uniform_(parameter, -bound, bound)
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            if ".mlp." in name:
                nn.init.normal_(module.bias, std=1e-6)
            else:
                nn.init.zeros_(module.bias)
    nn.init.zeros_(network.head.weight)
