"""Other tools' counters behind one signature, each in its documented usage.

    COUNTERS["SpikingJelly"].available()        # None, or why it cannot be used here
    COUNTERS["SpikingJelly"].count(model, x)    # {"acs": 1234, "macs": 0}: totals over everything in x

`x` is what `snn_energy.trace` takes as one batch: a tensor, a tuple of positional or a dict of keyword arguments. The
names of the facts are those of `snn_energy.selftest.QUESTIONS`; `claims` are the facts that the tool means to give.
Nothing is imported before `count` needs it. A counter may leave hooks or attributes on the model: give it a copy.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import torch
from torch import Tensor, nn

Count = Callable[[nn.Module, Any], Mapping[str, int | float]]


@dataclass(frozen=True)
class Counter:
    """One tool: what it claims to count, and how it is asked."""

    name: str
    module: str
    """What is imported."""
    distribution: str
    """Name on the package index; tells the version."""
    claims: tuple[str, ...]
    usage: str
    """How the tool is called, and what of its output is read."""
    count: Count

    def available(self) -> str | None:
        """None, or the reason why it cannot be used here."""
        try:
            found = importlib.util.find_spec(self.module)
        except ImportError as problem:  # a parent package is missing or broken
            return str(problem)
        return None if found is not None else f"{self.module} is not installed"

    def version(self) -> str:
        """Version that is installed."""
        return metadata.version(self.distribution)

    def __str__(self) -> str:
        return f"{self.name} {self.version()}"


COUNTERS: dict[str, Counter] = {}


def counter(name: str, module: str, claims: str, distribution: str | None = None) -> Callable[[Count], Count]:
    """Register a function as the adapter of a tool; its docstring says how the tool is used."""

    def register(count: Count) -> Count:
        usage = " ".join((count.__doc__ or "").split())
        COUNTERS[name] = Counter(name, module, distribution or module, tuple(claims.split()), usage, count)
        return count

    return register


class Applied(nn.Module):
    """A model that takes all its arguments as one batch, as most counters want it; it also wraps a bare layer."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Any) -> Any:
        """Call the model."""
        return call(self.model, batch)


class Spread(nn.Module):
    """A model that takes keyword arguments by position."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *values: Any) -> Any:
        """Call the model."""
        return self.model(**dict(zip(self.names, values, strict=True)))


def call(model: nn.Module, x: Any) -> Any:
    """Run a model on one batch."""
    if isinstance(x, Mapping):
        return model(**x)
    return model(*x) if isinstance(x, tuple) else model(x)


def positional(model: nn.Module, x: Any) -> tuple[nn.Module, tuple[Any, ...]]:
    """The model and its arguments by position."""
    if isinstance(x, Mapping):
        return Spread(model, tuple(x)), tuple(x.values())
    return model, x if isinstance(x, tuple) else (x,)


def first_tensor(x: Any) -> Tensor:
    """The tensor whose first axis counts samples."""
    if isinstance(x, Tensor):
        return x
    items = x.values() if isinstance(x, Mapping) else x
    return next(item for item in items if isinstance(item, Tensor))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Tables and progress bars go nowhere."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@counter("SpikingJelly", "spikingjelly.activation_based.op_counter", "acs macs", "spikingjelly")
def spikingjelly(model: nn.Module, x: Any) -> Mapping[str, int | float]:
    """op_counter: DispatchCounterMode with SynOpCounter (acs) and MACCounter (macs) around one forward, no_grad."""
    from spikingjelly.activation_based import op_counter

    synops, macs = op_counter.SynOpCounter(), op_counter.MACCounter()
    with torch.no_grad(), op_counter.DispatchCounterMode([synops, macs]):
        call(model, x)
    return {"acs": synops.get_total(), "macs": macs.get_total()}


@counter("NeuroBench", "neurobench.metrics.workload", "effective_acs effective_macs connections", "neurobench")
def neurobench(model: nn.Module, x: Any) -> Mapping[str, int | float]:
    """SynapticOperations on a TorchModel whose net is a container around the model; per-sample means times samples."""
    from neurobench.metrics.workload import SynapticOperations
    from neurobench.models import TorchModel

    wrapped = TorchModel(Applied(model))
    wrapped.register_hooks()
    metric = SynapticOperations()
    first = first_tensor(x)
    with torch.no_grad():
        means = metric(wrapped, wrapped(x), (first, None))
    wrapped.cleanup_hooks()
    names = {"effective_acs": "Effective_ACs", "effective_macs": "Effective_MACs", "connections": "Dense"}
    return {ours: means[theirs] * len(first) for ours, theirs in names.items()}


@counter("syops", "syops", "acs macs")
def syops(model: nn.Module, x: Any) -> Mapping[str, int | float]:
    """get_model_complexity_info with a loader of this one batch (an input_constructor where it is no float tensor);
    per-image means times the length of the first axis."""
    from syops import get_model_complexity_info

    net, weighted = Applied(model), any(True for _ in model.parameters())
    plain = isinstance(x, Tensor) and x.dtype is torch.float32 and weighted
    options: dict[str, Any] = {"dataloader": [(x, None)]} if plain else {"input_constructor": lambda _: {"batch": x}}
    with torch.no_grad(), quiet():
        ops, _ = get_model_complexity_info(net, (1,), as_strings=False, print_per_layer_stat=False, **options)
    images = len(x) if plain else 1
    return {"acs": ops[1] * images, "macs": ops[2] * images}


@counter("Sinabs", "sinabs.synopcounter", "unit_events", "sinabs")
def sinabs(model: nn.Module, x: Any) -> Mapping[str, int | float]:
    """SNNAnalyzer around one forward: the synops of get_layer_statistics(average=True), which correct for average
    pools, are means over batch and calls, so they are multiplied by both; a spike of height n is n there."""
    from sinabs.synopcounter import SNNAnalyzer

    net = Applied(model)
    analyzer = SNNAnalyzer(net)
    rows: dict[nn.Module, int] = {}

    def note(module: nn.Module, args: tuple[Any, ...]) -> None:
        rows[module] = rows.get(module, 0) + (len(args[0]) if args else 0)

    hooks = [module.register_forward_pre_hook(note) for module in net.modules()]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    layers = analyzer.get_layer_statistics(average=True)["parameter"]
    return {"unit_events": sum(float(found["synops"]) * rows[net.get_submodule(n)] for n, found in layers.items())}


@counter("fvcore", "fvcore.nn", "dense_macs", "fvcore")
def fvcore(model: nn.Module, x: Any) -> Mapping[str, int | float]:
    """FlopCountAnalysis(model, inputs).by_operator(), without norms: one flop of a product is one MAC there."""
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(*positional(model, x)).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return {"dense_macs": sum(flops for name, flops in analysis.by_operator().items() if "norm" not in name)}


@counter("FlopCounterMode", "torch.utils.flop_counter", "dense_macs", "torch")
def flop_counter_mode(model: nn.Module, x: Any) -> Mapping[str, int | float]:
    """torch.utils.flop_counter.FlopCounterMode around one forward, no_grad; total flops / 2."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as mode:
        call(model, x)
    return {"dense_macs": mode.get_total_flops() / 2}


@counter("thop", "thop", "dense_macs")
def thop(model: nn.Module, x: Any) -> Mapping[str, int | float]:
    """profile(model, inputs) with the model in a container: the first number, documented as MACs."""
    from thop import profile

    net, inputs = positional(model, x)
    with quiet():
        return {"dense_macs": profile(Applied(net), inputs=(inputs,), verbose=False)[0]}


@counter("torchinfo", "torchinfo", "dense_macs")
def torchinfo(model: nn.Module, x: Any) -> Mapping[str, int | float]:
    """summary(model, input_data).total_mult_adds."""
    from torchinfo import summary

    net, inputs = positional(model, x)
    return {"dense_macs": summary(net, input_data=list(inputs), verbose=0).total_mult_adds}


@counter("ptflops", "ptflops", "dense_macs")
def ptflops(model: nn.Module, x: Any) -> Mapping[str, int | float]:
    """get_model_complexity_info with an input_constructor, which makes its MACs a total; the pytorch backend."""
    from ptflops import get_model_complexity_info

    with quiet():
        macs, _ = get_model_complexity_info(
            Applied(model),
            (1,),
            as_strings=False,
            print_per_layer_stat=False,
            input_constructor=lambda _: {"batch": x},
        )
    return {} if macs is None else {"dense_macs": macs}


@counter("calflops", "calflops", "dense_macs")
def calflops(model: nn.Module, x: Any) -> Mapping[str, int | float]:
    """calculate_flops with args; the second number, documented as MACs."""
    from calflops import calculate_flops

    net, inputs = positional(model, x)
    with quiet():
        options = {"print_results": False, "print_detailed": False, "output_as_string": False}
        return {"dense_macs": calculate_flops(net, args=list(inputs), **options)[1]}
