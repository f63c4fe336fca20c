"""Base of the reference networks on images: what they check, how they take time, how they read out."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from snn_energy.errors import DataError
from snn_energy.models.clock import Clock, run
from snn_energy.models.units import Style, check_sizes


class ImageNetwork(nn.Module):
    """Images or frames in, logits out; subclasses define `logits` for one batch of frames.

    Direct coding: an image is shown at every time step, and its first convolution is computed at every time step, as
    in the networks' published code. Logits are the mean over time steps. `stepped` networks are called once for each
    time step; both give the same spikes, and their counts differ in `calls` alone.
    """

    registered_name = ""

    def __init__(self, args: dict[str, Any], style: Style) -> None:
        super().__init__()
        sizes = {name: args[name] for name in ("in_channels", "classes", "image_size", "time_steps")}
        check_sizes(self.registered_name, **sizes)
        self.in_channels, self.classes, self.image_size = args["in_channels"], args["classes"], args["image_size"]
        self.time_steps = args["time_steps"]
        self.style = style
        self._args = dict(args)

    def constructor_args(self) -> dict[str, Any]:
        """Return the arguments, of plain types, that build this network again."""
        return {**self._args, "time_steps": self.time_steps}

    def logits(self, x: Tensor, clock: Clock) -> Tensor:
        """Frames `b c h w` -> logits `b classes`."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits: `n c h w -> n classes`, or `t n c h w -> n classes`. Errors: DataError."""
        frame = [self.in_channels, self.image_size, self.image_size]
        if images.dim() not in (4, 5) or list(images.shape[-3:]) != frame:
            raise DataError(
                f"{self.registered_name}: expected images [N, {', '.join(map(str, frame))}], or [T, N, ...] frames "
                f"(got {list(images.shape)})"
            )
        frames = images if images.dim() == 5 else images.expand(self.time_steps, *images.shape)
        return run(self.logits, frames, stepped=self.style.stepped).mean(0)
