"""Tensors that modules keep between calls: constants like a mask, or state that an earlier run left behind.

A weight times a mask is done once, at load time, and free. A weight times a membrane is work. When a trace begins the
two look alike: a buffer or a plain attribute holds a tensor that nobody has written yet. What they are shows when the
batch is through: state has by then been replaced by data, or written with data. So work that involves such a tensor,
and would be free if it was a constant, is put aside until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snn_energy.counting.tags import Origin, Tag, hang_tag, tensors_in

if TYPE_CHECKING:
    from snn_energy.counting.ops.registry import Call, Product
    from snn_energy.counting.recorder import Recorder

Charge = Callable[[], None]


class KeptTensors:
    """The kept tensors of one model, and the work of the present batch that waits for what they turn out to be."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._places: dict[str, tuple[nn.Module, str]] = {}
        """Name of an attribute that held a tensor when the trace began -> where it is."""
        self._waiting: list[tuple[tuple[str, ...], Charge, Charge]] = []

    def add(self, name: str, module: nn.Module, attribute: str) -> None:
        """Take in an attribute of a module."""
        self._places[name] = (module, attribute)

    def among(self, tensors: Iterable[Tensor]) -> tuple[str, ...]:
        """Names of the kept tensors that these are, or come from."""
        tags = map(self._recorder.tag, tensors)
        return tuple(dict.fromkeys(name for tag in tags if tag is not None for name in tag.kept))

    def put_aside(self, names: tuple[str, ...], charge: Charge, release: Charge) -> None:
        """Call `charge` at the end of the batch if any of the kept tensors was state, else `release`."""
        self._waiting.append((names, charge, release))

    def forget(self) -> None:
        """Drop what an exception left waiting."""
        self._waiting.clear()

    def settle(self) -> None:
        """Look at what the batch left in the attributes, and charge what was work."""
        waiting, self._waiting = self._waiting, []
        state = {name for name in {name for names, _, _ in waiting for name in names} if self._is_state(name)}
        for names, charge, release in waiting:
            if state.isdisjoint(names):
                release()
            else:
                charge()

    def _is_state(self, name: str) -> bool:
        module, attribute = self._places[name]
        buffers = dict(module.named_buffers(recurse=False))  # of a script as well, which keeps them elsewhere
        value = buffers.get(attribute, vars(module).get(attribute))
        return any(self._recorder.origin(tensor) is Origin.DATA for tensor in tensors_in(value))


def product_of_state(recorder: Recorder, product: Product | None, call: Call, out: Any, bound: int) -> Charge:
    """What counts a product of weights with what may be state, later; where it cannot, it lists `bound`.

    `product` is None for the product that an einsum made by broadcasting.
    """
    kept = [] if product is None else [i for i in product.factors if recorder.kept.among((call.args[i],))]
    path, stack = recorder.path, recorder.stack[-1:]
    if product is None or len(kept) != 1 or recorder.scopes or not isinstance(out, Tensor):
        name = f"{call.name} (of state kept between calls)"
        return lambda: recorder.at(path, stack, lambda: recorder.note("uncounted", name, bound=bound))
    operand = call.args[kept[0]].clone()  # may be written before the batch is through
    hang_tag(operand, Tag(recorder.token, Origin.DATA))
    args = (*call.args[: kept[0]], operand, *call.args[kept[0] + 1 :])
    later = replace(call, args=args)
    result = torch.empty_like(out, device="meta")

    def count() -> None:
        after = product.row(recorder, later)
        if after is not None:
            after(result)

    return lambda: recorder.at(path, stack, count)
