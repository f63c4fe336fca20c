"""The paper's two networks: windowed CNN-SNN and windowed RNN-SNN.

Source: Yao, Wu, Chen, Zhang, "Training a General Spiking Neural Network with Improved Efficiency and Minimum Latency",
ACML 2023, arXiv:2401.10843. On 32x32 images with 10 classes they have 13,885,402 and 14,925,466 parameters, and
246,992,640 and 246,697,728 dense MACs for an image and time step.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from snn_energy.models.registry import register
from snn_energy.models.windowed.cnn_unit import CNNUnit
from snn_energy.models.windowed.grid import WindowGrid
from snn_energy.models.windowed.neuron import GroupLIF
from snn_energy.models.windowed.projection import THETA, Projection, warn_outside_range
from snn_energy.models.windowed.rnn_unit import RNNUnit
from snn_energy.models.windowed.skeleton import WindowedNetwork, paper_schedule


class PaperNetwork(WindowedNetwork):
    """The arguments that both networks take.

    Args: `in_channels`, `classes`, `image_size` (side of the square image, pixels, a multiple of 2 for each stage),
    `widths` (channels of each stage, each twice the one before), `depths` (blocks of each stage), `grid` (p: each map
    is cut into p x p windows), `dilated` (for each stage the numbers of its dilated blocks; None: the paper's
    schedule), `mlp_ratio`, `condense` ("average", or "or" for the region threshold), `encoder` and `eval_encoder`
    ("bernoulli" or "deterministic", in training and in eval mode), `projection` ("cosine", "product", "mean", "sum"),
    `theta` (of the projection), `time_steps` (may also be set later), `decay`, `threshold`, `learn_threshold` (each
    neuron layer then has a threshold of its own, a parameter), `surrogate`.

    Shapes: images `n c h w` or frames `t n c h w` -> logits `n classes`. Errors: UsageError, DataError. Warns with
    ProjectionWarning where theta is outside the range of `projection_range`.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        image_size: int,
        widths: Sequence[int] = (48, 96, 192, 384),
        depths: Sequence[int] = (2, 2, 6, 2),
        grid: int = 2,
        dilated: Sequence[Sequence[int]] | None = None,
        mlp_ratio: int = 3,
        condense: str = "average",
        encoder: str = "bernoulli",
        eval_encoder: str = "deterministic",
        projection: str = "cosine",
        theta: float = THETA,
        time_steps: int = 1,
        decay: float = 0.4,
        threshold: float = 0.5,
        learn_threshold: bool = False,
        surrogate: str = "rectangular",
    ) -> None:
        schedule = paper_schedule(depths) if dilated is None else [list(blocks) for blocks in dilated]
        super().__init__(
            {
                "in_channels": in_channels,
                "classes": classes,
                "image_size": image_size,
                "widths": list(widths),
                "depths": list(depths),
                "grid": grid,
                "dilated": schedule,
                "mlp_ratio": mlp_ratio,
                "condense": condense,
                "encoder": encoder,
                "eval_encoder": eval_encoder,
                "projection": projection,
                "theta": theta,
                "time_steps": time_steps,
                "decay": decay,
                "threshold": threshold,
                "learn_threshold": learn_threshold,
                "surrogate": surrogate,
            }
        )
        warn_outside_range(projection, theta, decay)

    def _neuron(self) -> GroupLIF:
        args = self._args
        return GroupLIF(args["decay"], args["threshold"], args["surrogate"], learn_threshold=args["learn_threshold"])

    def _projection(self) -> Projection:
        return Projection(self._args["projection"], self._args["theta"])


@register("windowed-cnn")
class WindowedCNN(PaperNetwork):
    """The windowed CNN-SNN: two 3x3 convolutions in each window; see `cnn_unit`, for the arguments `PaperNetwork`."""

    registered_name = "windowed-cnn"

    def make_unit(self, channels: int, grid: WindowGrid) -> nn.Module:  # noqa: ARG002
        """The window unit of one block."""
        return CNNUnit(channels, self._neuron, self._projection())


@register("windowed-rnn")
class WindowedRNN(PaperNetwork):
    """The windowed RNN-SNN: a BiLSTM over each window; see `rnn_unit`, for the arguments `PaperNetwork`."""

    registered_name = "windowed-rnn"
    unit_width = 2
    keeps_memory = True

    def make_unit(self, channels: int, grid: WindowGrid) -> nn.Module:
        """The window unit of one block."""
        return RNNUnit(channels, grid, self._neuron(), self._projection())
