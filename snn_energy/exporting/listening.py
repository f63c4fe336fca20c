"""Ears on a network: what its neuron layers return while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from snn_energy.counting.neurons import NeuronRow


@contextmanager
def listening(network: nn.Module, rows: Mapping[str, NeuronRow]) -> Iterator[dict[str, list[Tensor]]]:
    """Collect what the neuron layers at the paths of `rows` return, call by call, while the block runs.

    Time comes first where a layer returns it. These are copies: a network may change its spikes in place later on.
    """
    heard: dict[str, list[Tensor]] = {path: [] for path in rows}

    def hook(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def take(_module: nn.Module, _args: Any, output: Any) -> None:
            spikes = output if isinstance(output, Tensor) else output[0]
            axis = rows[path].time_axis
            heard[path].append((spikes.movedim(axis, 0) if axis else spikes).detach().clone())

        return take

    handles = [network.get_submodule(path).register_forward_hook(hook(path)) for path in heard]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()
