"""Modules of torch.ao that quantise or watch values: counted as what they stand for, not as the operators they run.

A fake quantiser stands for rounding to a few levels; an observer beside it collects ranges for a later conversion,
which is calibration and no part of the network. Both are known by the name of their base class.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from snn_energy.counting.recorder import Recorder
from snn_energy.counting.tags import Origin, Tag

_HOME = "torch.ao.quantization"


def _descends(module: nn.Module, base: str) -> bool:
    return any(cls.__name__ == base and cls.__module__.startswith(_HOME) for cls in type(module).__mro__)


def is_fake_quantiser(module: nn.Module) -> bool:
    """True for torch.ao's fake quantisers and their subclasses."""
    return _descends(module, "FakeQuantizeBase")


def is_observer(module: nn.Module) -> bool:
    """True for torch.ao's observers and their subclasses."""
    return _descends(module, "ObserverBase")


def count_quantiser(recorder: Recorder, module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
    """Record one call of a fake quantiser or an observer, from its input and output."""
    x = args[0] if args else None
    if is_observer(module) or not isinstance(x, Tensor) or not isinstance(out, Tensor):
        recorder.note("free", "observer", reason="calibration: collects ranges, no part of the network")
        return
    known = recorder.tag(x)
    origin = recorder.origin(x)
    names = () if known is None else known.names
    if not _is_on(module):
        if out is not x:
            recorder.mark(out, Tag(recorder.token, origin, names=names))
        recorder.note("free", "fake quantiser, off", reason="identity: switched off")
        return
    recorder.mark(out, Tag(recorder.token, origin, names=names, bits=_bits(module)))
    if origin is Origin.WEIGHT:
        recorder.note("free", "fake quantiser of weights", reason="weights only: computed once, at load time")
        return
    # the rates of `quantise` and `dequantise` in ops/quantised.py
    recorder.arithmetic("quantise", adds=out.numel(), muls=out.numel(), compares=3 * out.numel())
    recorder.arithmetic("dequantise", adds=out.numel(), muls=out.numel())
    recorder.note("counted", "fake quantiser")


def _is_on(module: nn.Module) -> bool:
    flag = getattr(module, "fake_quant_enabled", None)
    return flag is None or bool(flag.reshape(-1)[0])


def _bits(module: nn.Module) -> int | None:
    """Bits that number the levels from `quant_min` to `quant_max`."""
    low, high = getattr(module, "quant_min", None), getattr(module, "quant_max", None)
    return None if low is None or high is None else (int(high) - int(low)).bit_length()
