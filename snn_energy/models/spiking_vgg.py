"""Spiking VGG: stages of conv 3x3 - batch norm - LIF units, each closed by a max pool, then one linear read-out.

Widths: K. Simonyan and A. Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015,
arXiv:1409.1556, Table 1, configurations A (VGG-11) and D (VGG-16). As usual for 32x32 images, one linear layer takes
the place of the three fully connected ones. In one line:

    build("spiking-vgg", in_channels=3, classes=10, image_size=32, depth=16, time_steps=1)
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from snn_energy.errors import UsageError
from snn_energy.models.clock import Clock
from snn_energy.models.image_network import ImageNetwork
from snn_energy.models.operands import PIXELS, Operand
from snn_energy.models.registry import register
from snn_energy.models.units import Style, check_sizes, stages_of

STAGES: dict[int, tuple[tuple[int, ...], ...]] = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
}
"""Channels of each convolution by stage, for the depths of the paper."""


@register("spiking-vgg")
class SpikingVGG(ImageNetwork):
    """VGG with LIF neurons; a 2x2 max pool closes each stage, so the image's side must allow one per stage.

    Args: `in_channels`, `classes`, `image_size` (side of the square image, pixels), `depth` (11 or 16: the stages
    of the paper; 11 unless asked otherwise) or `stages` (channels of each convolution by stage), `time_steps`,
    `decay`, `threshold`, `reset`, `surrogate` (see `neurons`), `folded` (convolutions carry a bias and there is no
    batch norm), `stepped` (see `clock`), `pool_currents` (the max pool that closes a stage takes the currents before
    the last neurons, not the spikes behind them: a quarter of the updates, and where nobody in a window fired, the
    gradient reaches the membrane that came closest).

    Shapes: images `n c h w` or frames `t n c h w` -> logits `n classes`. Errors: UsageError, DataError.
    """

    registered_name = "spiking-vgg"

    def __init__(
        self,
        in_channels: int,
        classes: int,
        image_size: int,
        stages: Sequence[Sequence[int]] | None = None,
        time_steps: int = 4,
        decay: float = 0.5,
        threshold: float = 1.0,
        reset: str = "hard",
        surrogate: str = "arctan",
        folded: bool = False,
        stepped: bool = False,
        depth: int | None = None,
        pool_currents: bool = False,
    ) -> None:
        stages = stages_of("spiking-vgg", depth, stages, STAGES, usual=11)
        style = Style(
            decay=decay, threshold=threshold, reset=reset, surrogate=surrogate, folded=folded, stepped=stepped
        )
        super().__init__(
            {
                "in_channels": in_channels,
                "classes": classes,
                "image_size": image_size,
                "stages": [list(stage) for stage in stages],
                "time_steps": time_steps,
                "decay": decay,
                "threshold": threshold,
                "reset": reset,
                "surrogate": surrogate,
                "folded": folded,
                "stepped": stepped,
                "pool_currents": pool_currents,
            },
            style,
        )
        if not stages or not all(stages):
            raise UsageError(f"spiking-vgg: every stage needs a width, like ((16,), (32, 32)) (got {stages!r})")
        side = image_size >> len(stages)
        if not side:
            raise UsageError(
                f"spiking-vgg: {len(stages)} stages halve an image {len(stages)} times (got image_size {image_size}); "
                f"give at least {1 << len(stages)} pixels, or fewer stages"
            )
        self.stages = nn.ModuleList()
        channels = in_channels
        for i, widths in enumerate(stages):
            check_sizes("spiking-vgg", **{f"stages[{i}][{j}]": width for j, width in enumerate(widths)})
            ins = (channels, *widths[:-1])
            stage = [style.conv(a, b) for a, b in zip(ins, widths, strict=True)]
            if pool_currents:
                stage[-1] = style.pooled_conv(ins[-1], widths[-1])
            self.stages.append(nn.ModuleList(stage))
            channels = widths[-1]
        self.pool = nn.Identity() if pool_currents else nn.MaxPool2d(2)
        self.head = nn.Linear(channels * side * side, classes)

    def operands(self) -> dict[str, Operand]:
        """What the layers take that do not take spikes."""
        return {"stages.0.0.conv": PIXELS}

    def logits(self, x: Tensor, clock: Clock) -> Tensor:
        """Frames `b c h w` -> logits `b classes`."""
        for stage in self.stages:
            for unit in stage:  # type: ignore[attr-defined]
                x = unit(x, clock)
            x = self.pool(x)
        logits: Tensor = self.head(x.flatten(1))
        return logits
