"""The pure variant of the windowed CNN: spikes before every convolution and linear layer but the stem.

    stem: BN(conv of the image)                            the only real-valued operand
    block: window unit and MLP on spikes, see `pure_units`
    between stages: fire, 2x2 patch merging, Linear, BN
    head: fire, Linear at every position; logits are the mean over positions and time steps

Differences from the windowed CNN, all ours: the features between the parts are fired (LIF) before each product, and
not only at the windows; windows that overlap are joined by OR; the MLP fires where GELU was; a batch norm, which can be
folded, follows each product but the head's; Omega is the mean of two membranes, which is arithmetic of two operations.

ANN twin (`ann_twin`): ReLU in place of every neuron, no membranes between windows, and the OR, which is a maximum of
spikes, is a maximum of activations.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from snn_energy.errors import DataError, UsageError
from snn_energy.models.neurons import LIF
from snn_energy.models.operands import PIXELS, Operand, Sum
from snn_energy.models.registry import register
from snn_energy.models.units import check_sizes
from snn_energy.models.windowed.neuron import GroupLIF
from snn_energy.models.windowed.projection import THETA, Projection, warn_outside_range
from snn_energy.models.windowed.pure_units import NormedConv, PureBlock, PureMerging, PureUnit, membrane_bounds
from snn_energy.models.windowed.skeleton import paper_schedule, stage_grids


@register("pure-cnn")
class PureCNN(nn.Module):
    """The windowed CNN on spikes alone.

    Args: `in_channels`, `classes`, `image_size` (side of the square image, pixels; a multiple of the stem's stride
    times 2 for each further stage), `widths` (channels of each stage), `depths` (blocks of each stage), `stem` (kernel
    and stride: (2, 2) as in the paper, (3, 1) for maps four times as large), `grid` (p: each map is cut into p x p
    windows), `dilated` (for each stage the numbers of its dilated blocks; None: the paper's schedule), `mlp_ratio`,
    `projection` ("mean", "sum", "cosine" or "product"), `theta` (of the latter two), `time_steps` (may also be set
    later), `decay`, `threshold`, `surrogate` (of all neurons), `reset` (of the neurons between the parts; see
    `neurons`), `branch_gain` (initial gain of the norms whose currents are added to the stream),
    `folded` (weights carry a bias and there is no batch norm).

    Shapes: images `n c h w` or frames `t n c h w` -> logits `n classes`. Errors: UsageError, DataError. Warns with
    ProjectionWarning where membranes sustain themselves (see `projection`).
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        image_size: int,
        widths: Sequence[int] = (48, 96, 192, 384),
        depths: Sequence[int] = (2, 2, 6, 2),
        stem: Sequence[int] = (2, 2),
        grid: int = 2,
        dilated: Sequence[Sequence[int]] | None = None,
        mlp_ratio: int = 3,
        projection: str = "mean",
        theta: float = THETA,
        time_steps: int = 1,
        decay: float = 0.5,
        threshold: float = 1.0,
        reset: str = "hard",
        surrogate: str = "triangular",
        branch_gain: float = 0.5,
        folded: bool = False,
    ) -> None:
        super().__init__()
        args: dict[str, Any] = {
            "in_channels": in_channels,
            "classes": classes,
            "image_size": image_size,
            "widths": list(widths),
            "depths": list(depths),
            "stem": list(stem),
            "grid": grid,
            "dilated": paper_schedule(depths) if dilated is None else [list(blocks) for blocks in dilated],
            "mlp_ratio": mlp_ratio,
            "projection": projection,
            "theta": theta,
            "decay": decay,
            "threshold": threshold,
            "reset": reset,
            "surrogate": surrogate,
            "branch_gain": branch_gain,
            "folded": folded,
        }
        _check({**args, "time_steps": time_steps})
        warn_outside_range(projection, theta, decay)
        self._args = args
        self.time_steps = time_steps

        def neuron() -> nn.Module:
            return LIF(decay, threshold, reset, surrogate)

        def unit(width: int) -> nn.Module:
            group = lambda: GroupLIF(decay, threshold, surrogate)  # noqa: E731  # one for each layer
            return PureUnit(width, group, Projection(projection, theta), folded=folded)

        kernel, stride = stem
        # `stage_grids` knows the paper's stem, which halves the image.
        grids = stage_grids("pure-cnn", {**args, "image_size": 2 * image_size // stride})
        self.stem = NormedConv(in_channels, widths[0], kernel, stride, folded=folded)
        self.stages = nn.ModuleList(
            nn.ModuleList(PureBlock(width, cut, unit(width), neuron, mlp_ratio, folded=folded) for cut in grids[i])
            for i, width in enumerate(widths)
        )
        self.merges = nn.ModuleList(
            PureMerging(width, after, neuron, folded=folded) for width, after in pairwise(widths)
        )
        self.neuron = neuron()
        self.head = nn.Linear(widths[-1], classes)
        self._damp(branch_gain)

    def _damp(self, gain: float) -> None:
        """Start each branch small against the stream: the gain of the norms that are added to it."""
        for module in self.modules():
            if isinstance(module, PureBlock):
                for norm in (module.fc.norm, module.fc2.norm):
                    if isinstance(norm, nn.BatchNorm1d):
                        nn.init.constant_(norm.weight, gain)

    def constructor_args(self) -> dict[str, Any]:
        """Return the arguments, of plain types, that build this network again."""
        return {**self._args, "time_steps": self.time_steps}

    def operands(self) -> dict[str, Operand]:
        """What the layers take that do not take spikes."""
        return {"stem.conv": PIXELS}

    def sums(self) -> dict[str, Sum]:
        """What becomes of the layers' outputs at one time step: the stream of each stage, and membranes by window."""
        found = {}
        windows, decay, projection = self._args["grid"] ** 2, self._args["decay"], self._args["projection"]
        for i, blocks in enumerate(self.stages):
            terms = [f"merges.{i - 1}.merge.linear" if i else "stem.conv"]
            for j in range(len(blocks)):  # type: ignore[arg-type]
                path = f"stages.{i}.{j}"
                terms += [f"{path}.fc.linear", f"{path}.fc2.linear"]
                for name, total in membrane_bounds(windows, decay, projection).items():
                    gains = {f"{path}.unit.{layer}.conv": gain for layer, gain in total.gains.items()}
                    found[f"{path}.unit.{name}"] = Sum(gains, total.fraction_bits)
            found[f"stages.{i}"] = Sum(dict.fromkeys(terms, 1.0))
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits: `n c h w -> n classes`, or frames `t n c h w -> n classes`. Errors: DataError."""
        side = self._args["image_size"]
        frame = [self._args["in_channels"], side, side]
        if images.dim() not in (4, 5) or list(images.shape[-3:]) != frame:
            raise DataError(
                f"pure-cnn: expected images [N, {', '.join(map(str, frame))}], or [T, N, ...] frames "
                f"(got {list(images.shape)})"
            )
        if images.dim() == 4:
            x = self._stream(images)
            x = x.expand(self.time_steps, *x.shape)
        else:
            x = self._stream(images.flatten(0, 1))
            x = x.reshape(*images.shape[:2], *x.shape[1:])
        for i, blocks in enumerate(self.stages):
            if i:
                x = self.merges[i - 1](x)
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x)
        logits: Tensor = self.head(self.neuron(x))
        return logits.mean((0, 2, 3))

    def _stream(self, images: Tensor) -> Tensor:
        current: Tensor = self.stem(images).permute(0, 2, 3, 1).contiguous()
        return current


def _check(args: dict[str, Any]) -> None:
    names = ("in_channels", "classes", "image_size", "time_steps", "mlp_ratio", "grid")
    sizes = {name: args[name] for name in names}
    sizes |= {f"{name}[{i}]": size for name in ("widths", "depths", "stem") for i, size in enumerate(args[name])}
    check_sizes("pure-cnn", **sizes)
    widths, depths, stem = args["widths"], args["depths"], args["stem"]
    if not widths or len(widths) != len(depths):
        raise UsageError(f"pure-cnn: widths and depths need one number for each stage (got {widths} and {depths})")
    if len(stem) != 2 or stem[0] < stem[1]:
        raise UsageError(f"pure-cnn: stem must be a kernel and a stride no larger, like (3, 1) (got {tuple(stem)})")
    kernel, stride = stem
    side = (args["image_size"] + 2 * ((kernel - stride + 1) // 2) - kernel) // stride + 1
    factor = stride * 2 ** (len(widths) - 1)
    if args["image_size"] % factor or side * stride != args["image_size"]:
        raise UsageError(
            f"pure-cnn: image_size must be a multiple of {factor}, and the stem must leave 1/{stride} of it (got "
            f"image_size {args['image_size']}, stem {tuple(stem)}: a map {side} wide); use another stem or image_size"
        )
