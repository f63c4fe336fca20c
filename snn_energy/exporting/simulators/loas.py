"""LoAS: for each layer the spike matrix `t m k` and the weights `k n`, as plain arrays.

Its scripts read a dictionary that `torch.save` wrote; pickles are not for passing on, so these are .npy files, and
`to_loas.py` beside them makes the dictionary where it is wanted. LoAS takes one sample.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from snn_energy.counting.counts import Trace
from snn_energy.errors import UsageError
from snn_energy.exporting.losses import Loss, refuse_or_list
from snn_energy.exporting.simulators.folder import Written, layer_rows, side_car, write_folder
from snn_energy.exporting.simulators.spikes import patches, record_spikes
from snn_energy.exporting.simulators.workload import workloads_of

CONVERTER = "to_loas.py"
_SCRIPT = '''"""python to_loas.py ARCH: write ARCH_final_matrices_dict.pth, which LoAS reads from src_matrices."""

import json
import sys
from pathlib import Path

import numpy as np
import torch

here = Path(__file__).parent
rows = [layer["row"] for layer in json.loads((here / "snn_energy.json").read_text())["layers"]]
matrices = {
    row: {key: torch.from_numpy(np.load(here / f"{row}_{key}.npy").astype("float32")) for key in "xw"} for row in rows
}
torch.save(matrices, f"{sys.argv[1]}_final_matrices_dict.pth")
'''


def export_loas(
    model: nn.Module, inputs: Tensor, trace: Trace, folder: str | Path, *, force: bool = False, batch_axis: int = 0
) -> Written:
    """Write the spikes of `model` on one input, of which `trace` is the trace, as LoAS wants them.

    Layer_0_x.npy is bool `t m k`, Layer_0_w.npy float32 `k n`, and so on. Errors: ExportRefused (layers without
    spikes, groups), ExportError (a network that does not repeat itself), UsageError (more than one input).
    """
    if trace.samples != 1:
        raise UsageError(
            f"loas: expected one input, which its matrices hold (got {trace.samples}); give the first alone"
        )
    works, losses = workloads_of(trace)
    recording = record_spikes(model, inputs, trace, works, batch_axis=batch_axis)
    grouped = [t for t in recording.trains if t.work.conv is not None and t.work.conv.groups > 1]
    losses += recording.losses
    losses += tuple(
        Loss("groups", train.work.name, "a layer is one matrix product; the layer is left out") for train in grouped
    )
    listed = refuse_or_list(losses, force, target=f"{folder} (LoAS)")
    trains = [train for train in recording.trains if train not in grouped]
    names = [f"Layer_{i}" for i in range(len(trains))]
    files: dict[str, str | bytes] = {}
    for name, train in zip(names, trains, strict=True):
        files[f"{name}_x.npy"] = npy(patches(train)[0])
        files[f"{name}_w.npy"] = npy(np.ascontiguousarray(train.weight.reshape(len(train.weight), -1).T))
    files[CONVERTER] = _SCRIPT
    car = side_car("loas", trace, layer_rows([train.work for train in trains], names), listed)
    return write_folder("loas", folder, files, car, listed)


def npy(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    """Return an array as the bytes of a .npy file, without pickles."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
