"""SANA-FE 2.2: a mapped network that replays measured spikes on a chip, as YAML.

Each layer becomes two groups: neurons that send exactly the spikes that the layer was fed, one input unit for each,
and neurons that receive them, are updated at every time step and never fire (what they would send is what the next
layer's first group replays). So SANA-FE's spikes, synaptic events and neuron updates are those that were counted, and
its time and energy are the chip's for them. Samples follow one another. SANA-FE is GPL: nothing here imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from snn_energy.counting.counts import Trace
from snn_energy.errors import UsageError
from snn_energy.exporting.losses import Loss, comment_lines, refuse_or_list
from snn_energy.exporting.simulators.folder import Written, layer_rows, side_car, write_folder
from snn_energy.exporting.simulators.spikes import SpikeTrain, padded_maps, record_spikes
from snn_energy.exporting.simulators.workload import Workload, workloads_of

NETWORK = "network.yaml"
NEVER = "1.0e+9"
"""A threshold that no sum of weights reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """The cores of an architecture file, and the names of its units; the default is SANA-FE's own loihi.yaml."""

    name: str = "loihi"
    tiles: int = 32
    cores_per_tile: int = 4
    neurons_per_core: int = 1024
    input_unit: str = "loihi_inputs"
    """Name of the input units, one for each neuron of a core: NAME[0], NAME[1], ..."""
    soma_unit: str = "loihi_lif"
    conv_synapse: str = "loihi_conv_synapse"
    dense_synapse: str = "loihi_dense_synapse"

    @property
    def cores(self) -> int:
        """Cores of the whole chip."""
        return self.tiles * self.cores_per_tile


def export_sanafe(
    model: nn.Module,
    inputs: Tensor,
    trace: Trace,
    folder: str | Path,
    *,
    chip: Chip | None = None,
    force: bool = False,
    batch_axis: int = 0,
) -> Written:
    """Write the measured spikes of `model` on `inputs`, of which `trace` is the trace, for SANA-FE.

    Run it for `time_steps_in_all` steps (the side-car has the command). Synapses that no edge of SANA-FE describes
    (groups, dilation, tokens) are written one by one. Errors: ExportRefused (layers without spikes, or that run
    another number of times), ExportError (a network that does not repeat itself), UsageError (a chip too small).
    """
    place = chip or Chip()
    works, losses = workloads_of(trace)
    recording = record_spikes(model, inputs, trace, works, batch_axis=batch_axis)
    steps = trace.time_steps or 1
    losses += recording.losses
    losses += tuple(Loss(what, t.work.name, why) for t in recording.trains for what, why in _lost(t.work, steps))
    listed = refuse_or_list(losses, force, target=f"{folder} (SANA-FE)")
    trains = [train for train in recording.trains if next(_lost(train.work, steps), None) is None]
    if not trains:
        raise UsageError(f"{folder} (SANA-FE): no layer is left that it can hold; expected one that is fed spikes")
    mapping = _mapping(trains, place)
    lines = [
        *comment_lines(listed),
        f"# Replays the spikes of {trace.samples} samples, {steps} time steps each, on {place.name}.",
        *(f"# l{i}: {' '.join(train.work.name.split())}" for i, train in enumerate(trains)),
        "network:",
        "  name: replay",
        "  groups:",
        *(line for i, train in enumerate(trains) for line in _groups(i, train, place)),
        "  edges:",
        *(_edge(i, train) for i, train in enumerate(trains)),
        "mappings:",
        *mapping,
    ]
    in_all = trace.samples * steps
    rows = layer_rows([train.work for train in trains], [f"l{i}" for i in range(len(trains))])
    command = (
        'python -c "import sanafe; a = sanafe.load_loihi(); c = sanafe.SpikingChip(a);'
        f" c.load(sanafe.load_net('{NETWORK}', a)); print(c.sim({in_all}))\""
    )
    car = side_car("sanafe", trace, rows, listed, time_steps_in_all=in_all, command=command)
    return write_folder("sanafe", folder, {NETWORK: "\n".join(lines) + "\n"}, car, listed)


MOST_PAIRS = 2_000_000
"""Synapses of one layer that are written one by one, where no edge describes them all."""

_TOGETHER = "all groups step together; the layer is left out"
_MANY = f"no edge describes them, and more than {MOST_PAIRS:,} are not written one by one; the layer is left out"

# Why a layer cannot be replayed: noun, test, reason.
_UNFIT: tuple[tuple[str, Callable[[Workload, int], bool], str], ...] = (
    ("another number of runs than time steps", lambda work, steps: work.product.passes != steps, _TOGETHER),
    ("its many synapses", lambda work, _: not _has_edge(work) and _synapses(work) > MOST_PAIRS, _MANY),
)


def _has_edge(work: Workload) -> bool:
    """Whether one of SANA-FE's own edges, dense or conv2d, describes all synapses."""
    if work.conv is None:
        return work.product.m == 1
    return work.conv.groups == 1 and set(work.conv.dilation) == {1} and work.conv.axes < 3


def _synapses(work: Workload) -> int:
    product = work.product
    return product.m * product.n * product.k * product.copies


def _lost(work: Workload, steps: int) -> Iterator[tuple[str, str]]:
    return ((what, why) for what, test, why in _UNFIT if test(work, steps))


def _sources(train: SpikeTrain) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Spikes of each sending neuron, bool `neurons steps`; those on a padded border stay silent."""
    maps = train.spikes if train.work.conv is None else padded_maps(train)
    steps = maps.reshape(maps.shape[0] * train.work.product.passes, -1)
    return np.ascontiguousarray(steps.T)


def _senders(work: Workload) -> int:
    return work.product.m * work.product.k if work.conv is None else work.conv.c_in * prod(work.conv.padded)


def _targets(work: Workload) -> int:
    return work.product.m * work.product.n * (1 if work.conv is None else work.product.copies)


def _groups(number: int, train: SpikeTrain, chip: Chip) -> Iterator[str]:
    yield f"    - name: l{number}_in"
    yield "      attributes: {}"
    yield "      neurons:"
    silent = 0
    for neuron, spikes in enumerate(sources := _sources(train)):
        if not spikes.any():
            silent += 1
            continue
        if silent:
            yield f"        - {_range(neuron - silent, neuron - 1)}: {{}}"
            silent = 0
        yield f"        - {neuron}: {{spikes: [{', '.join('1' if spike else '0' for spike in spikes)}]}}"
    if silent:
        yield f"        - {_range(len(sources) - silent, len(sources) - 1)}: {{}}"
    synapse = chip.dense_synapse if train.work.conv is None else chip.conv_synapse
    yield f"    - name: l{number}_out"
    yield f"      attributes: {{threshold: {NEVER}, force_update: true, synapse_hw_name: {synapse}}}"
    yield "      neurons:"
    yield f"        - {_range(0, _targets(train.work) - 1)}: {{}}"


def _edge(number: int, train: SpikeTrain) -> str:
    conv = train.work.conv
    ends = f"    - l{number}_in -> l{number}_out"
    if not _has_edge(train.work):
        sources, targets, weights = _pairs(train)
        pairs = ", ".join(f"[{a}, {b}]" for a, b in zip(sources.tolist(), targets.tolist(), strict=True))
        return f"{ends}: {{type: sparse, source_target_pairs: [{pairs}], weight: [{_numbers(weights)}]}}"
    if conv is None:  # weight `out in` -> source-major
        return f"{ends}: {{type: dense, weight: [{_numbers(train.weight.T)}]}}"
    (height, width), (kernel_h, kernel_w) = _two(conv.padded), _two(conv.kernel)
    stride_h, stride_w = _two(conv.stride)
    filters = train.weight.reshape(conv.c_out, conv.c_in, kernel_h, kernel_w).transpose(2, 3, 1, 0)
    return (
        f"{ends}: {{type: conv2d, input_height: {height}, input_width: {width}, input_channels: {conv.c_in},"
        f" kernel_height: {kernel_h}, kernel_width: {kernel_w}, kernel_count: {conv.c_out},"
        f" stride_height: {stride_h}, stride_width: {stride_w}, weight: [{_numbers(filters)}]}}"
    )


_Indices = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def _pairs(train: SpikeTrain) -> tuple[_Indices, _Indices, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Every synapse of a layer: sending and receiving neuron (maps in the order c, then the axes), and its weight."""
    product, conv = train.work.product, train.work.conv
    if conv is None:
        token, feature, source = np.indices((product.m, product.n, product.k)).reshape(3, -1)
        weights = train.weight[feature, source]
        return token * product.k + source, token * product.n + feature, weights
    axes, filters = conv.axes, conv.c_out // conv.groups
    places = np.indices((conv.c_out, conv.c_in // conv.groups, *conv.kernel, *conv.size_out)).reshape(2 + 2 * axes, -1)
    out, channel, taps, positions = places[0], places[1], places[2 : 2 + axes], places[2 + axes :]
    source = (out // filters) * (conv.c_in // conv.groups) + channel
    target = out
    for axis in range(axes):
        at = positions[axis] * conv.stride[axis] + taps[axis] * conv.dilation[axis]
        source = source * conv.padded[axis] + at
        target = target * conv.size_out[axis] + positions[axis]
    return source, target, train.weight[(out, channel, *taps)]


def _two(sizes: tuple[int, ...]) -> tuple[int, int]:
    """A one-dimensional layer is an image of height 1, with stride 1 along it."""
    return (1, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


def _numbers(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> str:
    return ", ".join(f"{value:.9g}" for value in values.ravel().tolist())


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}..{last}"


def _mapping(trains: Sequence[SpikeTrain], chip: Chip) -> list[str]:
    """Fill cores one after another, each group from a core of its own; input neurons get a unit each."""
    lines: list[str] = []
    core = 0
    for number, train in enumerate(trains):
        ends = ((f"l{number}_in", _senders(train.work), True), (f"l{number}_out", _targets(train.work), False))
        for name, neurons, inputs in ends:
            for first in range(0, neurons, chip.neurons_per_core):
                last = min(first + chip.neurons_per_core, neurons) - 1
                at = f"{core // chip.cores_per_tile}.{core % chip.cores_per_tile}"
                if inputs:
                    lines += [
                        f'  - {name}.{neuron}: {{core: {at}, soma: "{chip.input_unit}[{neuron - first}]"}}'
                        for neuron in range(first, last + 1)
                    ]
                else:
                    lines.append(f"  - {name}.{_range(first, last)}: {{core: {at}, soma: {chip.soma_unit}}}")
                core += 1
    if core > chip.cores:
        raise UsageError(
            f"sanafe: the network needs {core} cores of {chip.neurons_per_core} neurons (expected at most the"
            f" {chip.cores} of {chip.name}); export a smaller network, or describe a larger chip"
        )
    return lines
