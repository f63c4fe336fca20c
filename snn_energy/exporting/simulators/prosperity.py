"""Prosperity: for each layer the spikes that it was fed, and its sizes in the words of its networks.py.

Prosperity unfolds convolutions itself, so that it wants maps, not patches. Its networks are functions in networks.py
that return such sizes, and their spikes a pickle of torch tensors: `to_prosperity.py`, written beside the arrays,
makes the pickle and prints the function's table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from snn_energy.counting.counts import Trace
from snn_energy.errors import UsageError
from snn_energy.exporting.losses import Loss, refuse_or_list
from snn_energy.exporting.simulators.folder import Written, layer_rows, side_car, write_folder
from snn_energy.exporting.simulators.loas import npy
from snn_energy.exporting.simulators.spikes import SpikeTrain, patches, record_spikes
from snn_energy.exporting.simulators.workload import ConvShape, workloads_of

CONVERTER = "to_prosperity.py"
_SCRIPT = '''"""python to_prosperity.py NAME: write NAME.pkl, print the layers for a function in networks.py."""

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import torch

here = Path(__file__).parent
layers = json.loads((here / "snn_energy.json").read_text())["layers"]
spikes = {layer["row"]: torch.from_numpy(np.load(here / (layer["row"] + ".npy"))) for layer in layers}
Path(sys.argv[1] + ".pkl").write_bytes(pickle.dumps(spikes))
for layer in layers:
    print("(%r, %r)," % (layer["row"], layer["prosperity"]))
'''


def export_prosperity(
    model: nn.Module, inputs: Tensor, trace: Trace, folder: str | Path, *, force: bool = False, batch_axis: int = 0
) -> Written:
    """Write the spikes of `model` on one input, of which `trace` is the trace, as Prosperity wants them.

    conv2d_0.npy is bool `t c h w`, fc_1.npy bool `t tokens features`. Errors: ExportRefused (layers without spikes,
    whatever is not square, groups, dilation), ExportError (a network that does not repeat itself), UsageError (more
    than one input).
    """
    if trace.samples != 1:
        raise UsageError(f"prosperity: expected one input, as it simulates one (got {trace.samples}); give one alone")
    works, losses = workloads_of(trace)
    recording = record_spikes(model, inputs, trace, works, batch_axis=batch_axis)
    losses += recording.losses
    losses += tuple(Loss(what, t.work.name, why) for t in recording.trains for what, why in _lost(t.work.conv))
    listed = refuse_or_list(losses, force, target=f"{folder} (Prosperity)")
    trains = [train for train in recording.trains if next(_lost(train.work.conv), None) is None]
    names = [f"{'fc' if train.work.conv is None else 'conv2d'}_{i}" for i, train in enumerate(trains)]
    files: dict[str, str | bytes] = {
        f"{name}.npy": npy(patches(train)[0] if train.work.conv is None else train.spikes[0])
        for name, train in zip(names, trains, strict=True)
    }
    files[CONVERTER] = _SCRIPT
    rows: list[dict[str, Any]] = layer_rows([train.work for train in trains], names)
    for row, train in zip(rows, trains, strict=True):
        row["prosperity"] = _sizes(train)
    return write_folder("prosperity", folder, files, side_car("prosperity", trace, rows, listed), listed)


def _sizes(train: SpikeTrain) -> list[int]:
    """The arguments of its Conv2D and FC: sizes, then one sample and the time steps."""
    conv, product = train.work.conv, train.work.product
    if conv is None:
        return [product.k, product.n, product.m, 1, product.passes]
    size, kernel, padding, stride = conv.size_in[0], conv.kernel[0], conv.padding[0], conv.stride[0]
    return [size, conv.c_in, conv.c_out, kernel, padding, stride, 1, product.passes]


_WHY = "Prosperity takes one number for both axes; the layer is left out"

_UNFIT: tuple[tuple[str, Callable[[ConvShape], bool], str], ...] = (
    ("a convolution of one or three dimensions", lambda c: c.axes != 2, "it has Conv2D alone; the layer is left out"),
    ("an oblong image", lambda c: len(set(c.size_in)) > 1, _WHY),
    ("an oblong kernel", lambda c: len(set(c.kernel)) > 1, _WHY),
    ("unequal strides", lambda c: len(set(c.stride)) > 1, _WHY),
    ("unequal paddings", lambda c: len(set(c.padding)) > 1, _WHY),
    ("groups", lambda c: c.groups > 1, "it has none; the layer is left out"),
    ("dilation", lambda c: set(c.dilation) != {1}, "it has none; the layer is left out"),
)


def _lost(conv: ConvShape | None) -> Iterator[tuple[str, str]]:
    if conv is not None:
        yield from ((what, why) for what, test, why in _UNFIT if test(conv))
