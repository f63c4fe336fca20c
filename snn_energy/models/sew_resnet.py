"""SEW-ResNet: residual blocks whose branch and shortcut are both spikes, joined element by element.

    out = g(A, S)     A: spikes of the residual branch, S: spikes of the shortcut
    ADD:  A + S       small integers, which grow by one per block
    AND:  A * S       stays binary
    IAND: (1 - A) * S stays binary, and S passes where A is silent

Source: W. Fang et al., "Deep residual learning in spiking neural networks", NeurIPS 2021, arXiv:2102.04159, section 3.2
and Table 1 (g), section 4 (SEW-ResNet-18, -34). Depth 20 is the three-stage network for small images of K. He et al.,
"Deep residual learning for image recognition", CVPR 2016, arXiv:1512.03385, section 4.2 (n = 3), with SEW blocks.
Depth 19 is the wide three-stage network of H. Zheng et al., "Going deeper with directly-trained larger spiking neural
networks", AAAI 2021, arXiv:2011.05280 (ResNet-19: a convolution, 3 + 3 + 2 blocks of two, a linear layer of 256 and
the read-out), with SEW blocks and the batch norm of this package. In one line:

    build("sew-resnet", in_channels=3, classes=10, image_size=32, depth=19, time_steps=1)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from snn_energy.errors import UsageError
from snn_energy.models.clock import Clock
from snn_energy.models.image_network import ImageNetwork
from snn_energy.models.operands import PIXELS, SPIKES, Operand
from snn_energy.models.registry import register
from snn_energy.models.suggest import unknown
from snn_energy.models.units import Style, check_sizes, stages_of

JOINS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "ADD": lambda branch, shortcut: branch + shortcut,
    "AND": lambda branch, shortcut: branch * shortcut,
    "IAND": lambda branch, shortcut: (1 - branch) * shortcut,
}
"""The element-wise functions g(A, S) of the paper."""

STAGES: dict[int, tuple[tuple[int, int], ...]] = {
    18: ((64, 2), (128, 2), (256, 2), (512, 2)),
    19: ((128, 3), (256, 3), (512, 2)),
    20: ((16, 3), (32, 3), (64, 3)),
    34: ((64, 3), (128, 4), (256, 6), (512, 3)),
}
"""(channels, blocks) of each stage; every stage but the first halves the image."""

HIDDEN = {19: 256}
"""Channels of the linear layer before the read-out, for the depths that have one."""

STEMS = ("3x3", "7x7")


class SEWBlock(nn.Module):
    """Two conv 3x3 units; the shortcut is the input itself, or a conv 1x1 unit where the shape changes."""

    def __init__(self, ins: int, outs: int, stride: int, join: str, style: Style) -> None:
        super().__init__()
        self.first, self.second = style.conv(ins, outs, stride=stride), style.conv(outs, outs)
        self.shortcut = None if (ins, stride) == (outs, 1) else style.conv(ins, outs, kernel=1, stride=stride)
        self.join = join

    def forward(self, x: Tensor, clock: Clock) -> Tensor:
        """Spikes `b c h w` -> spikes or small integers `b c' h' w'`."""
        branch = self.second(self.first(x, clock), clock)
        return JOINS[self.join](branch, x if self.shortcut is None else self.shortcut(x, clock))


@register("sew-resnet")
class SEWResNet(ImageNetwork):
    """Spike-element-wise ResNet with basic blocks.

    Args: `in_channels`, `classes`, `image_size` (side of the square image, pixels), `depth` (18, 19, 20 or 34: the
    stages of the papers; 18 unless asked otherwise) or `stages` ((channels, blocks) of each stage), `hidden`
    (channels of a linear unit before the read-out; 0: none; None: as the depth has it), `join` ("ADD", "AND" or
    "IAND"), `stem` ("3x3": one conv of stride 1, for small images; "7x7": conv of stride 2 and a 3x3 max pool of
    stride 2), `time_steps`, `decay`, `threshold`, `reset`, `surrogate` (see `neurons`), `folded` (convolutions
    carry a bias and there is no batch norm), `stepped` (see `clock`).

    Shapes: images `n c h w` or frames `t n c h w` -> logits `n classes`. Errors: UsageError, DataError.
    """

    registered_name = "sew-resnet"

    def __init__(
        self,
        in_channels: int,
        classes: int,
        image_size: int,
        stages: Sequence[Sequence[int]] | None = None,
        join: str = "ADD",
        stem: str = "3x3",
        time_steps: int = 4,
        decay: float = 0.5,
        threshold: float = 1.0,
        reset: str = "hard",
        surrogate: str = "arctan",
        folded: bool = False,
        stepped: bool = False,
        depth: int | None = None,
        hidden: int | None = None,
    ) -> None:
        stages = stages_of("sew-resnet", depth, stages, STAGES, usual=18)
        hidden = HIDDEN.get(depth or 0, 0) if hidden is None else hidden
        style = Style(
            decay=decay, threshold=threshold, reset=reset, surrogate=surrogate, folded=folded, stepped=stepped
        )
        super().__init__(
            {
                "in_channels": in_channels,
                "classes": classes,
                "image_size": image_size,
                "stages": [list(stage) for stage in stages],
                "join": join,
                "stem": stem,
                "time_steps": time_steps,
                "decay": decay,
                "threshold": threshold,
                "reset": reset,
                "surrogate": surrogate,
                "folded": folded,
                "stepped": stepped,
                "hidden": hidden,
            },
            style,
        )
        if join not in JOINS:
            raise unknown("join", join, JOINS)
        if stem not in STEMS:
            raise unknown("stem", stem, STEMS)
        if not stages or any(len(stage) != 2 for stage in stages):
            raise UsageError(f"sew-resnet: stages must be (channels, blocks) pairs, like ((64, 2),) (got {stages!r})")
        channels = stages[0][0]
        check_sizes("sew-resnet", **{"stages[0][0]": channels})
        large = stem == "7x7"
        self.stem = style.conv(in_channels, channels, kernel=7 if large else 3, stride=2 if large else 1)
        self.pool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        self.blocks = nn.ModuleList()
        for i, (width, depth) in enumerate(stages):
            check_sizes("sew-resnet", **{f"stages[{i}][0]": width, f"stages[{i}][1]": depth})
            for j in range(depth):
                self.blocks.append(SEWBlock(channels, width, 2 if i and not j else 1, join, style))
                channels = width
        self.hidden = None
        if hidden != 0:
            check_sizes("sew-resnet", hidden=hidden)
            self.hidden = style.linear(channels, hidden)
        self.head = nn.Linear(hidden or channels, classes)
        halvings = len(stages) - 1 + (2 if large else 0)
        self.side = -(-image_size // 2**halvings)  # each rounds up, and so do all together

    def operands(self) -> dict[str, Operand]:
        """What the layers take that do not take spikes; an ADD join counts one spike more than its shortcut."""
        takes, x = {"stem.conv": PIXELS}, SPIKES
        for i, block in enumerate(self.blocks):
            assert isinstance(block, SEWBlock)
            takes[f"blocks.{i}.first.conv"] = x
            if block.shortcut is not None:
                takes[f"blocks.{i}.shortcut.conv"], x = x, SPIKES
            if block.join == "ADD":
                x = Operand(x.largest + 1)
        takes["head" if self.hidden is None else "hidden.linear"] = x.mean(self.side**2)
        return takes

    def logits(self, x: Tensor, clock: Clock) -> Tensor:
        """Frames `b c h w` -> logits `b classes`."""
        x = self.pool(self.stem(x, clock))
        for block in self.blocks:
            x = block(x, clock)
        x = x.mean((-1, -2))
        if self.hidden is not None:
            x = self.hidden(x.unsqueeze(1), clock).squeeze(1)  # the map's mean as its only token
        logits: Tensor = self.head(x)
        return logits
