"""Run a network once and record exactly what happened.

Hooks know meaning, dispatch knows arithmetic: global module hooks keep the module path and recognise neurons, a
dispatch mode below them sees every operator. Nothing is written on the caller's modules; modes, hooks and flags are
restored even after an exception.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from snn_energy.counting.counts import MIXED, Trace
from snn_energy.counting.dispatch import CountingMode
from snn_energy.counting.evaluating import evaluating
from snn_energy.counting.graphs import as_graph
from snn_energy.counting.naming import eager_class
from snn_energy.counting.recorder import Recorder
from snn_energy.counting.samples import SampleLog
from snn_energy.counting.scripted import scripted_subject
from snn_energy.counting.skeleton import Graph
from snn_energy.counting.splitting import samples_of, single_samples
from snn_energy.counting.tags import tensors_in
from snn_energy.counting.watching import Watcher
from snn_energy.errors import DataError, TraceError, UncountedError

Progress = Callable[[int], None]
"""Called after each batch with the number of its samples."""


def trace(
    model: Any,
    data: Any,
    samples: int | None = None,
    time_steps: int | None = None,
    strict: bool = False,
    *,
    batch_axis: int = 0,
    fold: bool = True,
    per_sample: bool = False,
    progress: Progress | None = None,
    on_output: Callable[[Any], None] | None = None,
    on_start: Callable[[Callable[[], Trace]], None] | None = None,
    like: nn.Module | None = None,
) -> Trace:
    """Run `model` on `data` and count every accumulate, multiply-accumulate, spike and neuron update exactly.

    Args:
        model: any module; it runs in eval mode, under `no_grad`, and is left as it was. Or a program of torch.export,
            or an ONNX graph (path of an .onnx file, or onnx.ModelProto), which runs as it is.
        data: one tensor; a tuple of positional or a dict of keyword arguments of one call; or an iterable of these. A
            batch that is a list (a DataLoader's `[inputs, labels]`) gives its first item to the model.
        samples: number of samples in all of `data`; default: the sizes of `batch_axis` of each batch's first tensor.
        time_steps: T, where the neuron layers do not tell it.
        strict: raise UncountedError if any operator is neither counted nor declared free.
        batch_axis: axis of the samples in each batch: 0 for [N, ...], 1 for [T, N, ...].
        fold: count a batch norm right behind a projection as folded into it: its scale is free, its shift the
            projection's bias. False counts a multiplication and an addition for each of its elements.
        per_sample: keep the counts of each sample as well, for `Trace.sample` and the distribution of the energy. Each
            sample then runs as a batch of its own, cut along `batch_axis`. That is slower, and it is what makes it
            exact: inside a model, time may be folded into the batch as [T, N] or as [N, T], and from outside nobody
            can tell whose row is whose.
        progress: called after each batch with the number of its samples.
        on_output: called with what the model returned for each batch, so that accuracy comes from the same pass.
        on_start: called before the first batch with a function that returns the trace so far; `data` may call that
            whenever it is asked for a batch, since the batches before are through then.
        like: for a graph, the module it was exported from: tells which neurons it has where the graph alone does not.

    Raises:
        DataError: no data, or a batch without tensors.
        TraceError: a weight holds NaN, or an operand NaN or infinity before its layer is known to be real-valued; or
            the model cannot be traced, or its batches not be cut into samples for `per_sample`.
        UncountedError: see `strict`.
    """
    program = scripted_subject(model, like) if isinstance(model, nn.Module) else as_graph(model, like)
    if program is None and like is not None:
        what = "a script with Python in its graph" if isinstance(model, torch.jit.ScriptModule) else "a module"
        raise TraceError(f"trace: like is for an exported graph (got {what} beside it); pass the module itself alone")
    root: nn.Module = model if program is None else program.root
    for name, value in (("samples", samples), ("time_steps", time_steps)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise TraceError(f"trace: {name} must be a whole number of at least 1, or None (got {value!r})")
    recorder = Recorder(root, fold=fold)
    log = SampleLog() if per_sample else None
    seen = 0

    def so_far() -> Trace:
        found = _collect(recorder, model, seen, time_steps)
        return found if log is None else log.finish(found)

    if on_start is not None:
        on_start(so_far)
    with ExitStack() as restore:
        restore.callback(recorder.close)
        mode = CountingMode(recorder)
        watcher = Watcher(recorder, mode)
        call = root if program is None else partial(_run_graph, program, recorder, mode)
        restore.enter_context(evaluating(model if isinstance(model, nn.Module) else root))
        restore.enter_context(_exact_arithmetic())
        restore.enter_context(watcher.registered())
        for args, kwargs in single_samples(batches(data), batch_axis) if per_sample else batches(data):
            tensors = list(tensors_in((args, kwargs)))
            if not tensors:
                raise DataError("trace: a batch holds no tensor; pass tensors, tuples or dicts of tensors")
            size = samples_of(tensors, batch_axis)
            recorder.begin_batch(tensors, batch_axis)
            output = _run(call, args, kwargs, watcher)
            recorder.end_batch(tensors_in(output), tensors)
            if on_output is not None:
                on_output(output)
            seen += size
            if log is not None:
                log.take(_collect(recorder, model, seen, time_steps))
            if progress is not None:
                progress(size)
        if not seen:
            raise DataError("trace: the data are empty; pass at least one sample")
        if log is not None and samples not in (None, seen):
            raise TraceError(
                f"trace: per_sample found {seen} samples along axis {batch_axis} (got samples={samples}); "
                "leave samples out, or check batch_axis"
            )
        result = _collect(recorder, root, samples if samples is not None else seen, time_steps)
        if log is not None:
            result = log.finish(result)
    if strict and not result.coverage.complete:
        raise UncountedError(uncounted_message(result))
    return result


def _run_graph(program: Graph, recorder: Recorder, mode: CountingMode, *args: Any, **kwargs: Any) -> Any:
    return program.run(recorder, mode, args, kwargs)


def _run(model: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], watcher: Watcher) -> Any:
    try:
        with watcher.running():
            return model(*args, **kwargs)
    except NotImplementedError as error:
        if CountingMode.__name__ not in str(error):
            raise
        raise TraceError(
            "trace: the model uses a higher-order operator (torch.cond, flex_attention, ...) whose body cannot be "
            f"counted: {str(error).splitlines()[0]} Use plain Python control flow or scaled_dot_product_attention"
        ) from error


def uncounted_message(result: Trace) -> str:
    """One line that names what a trace could not count."""
    listed = ", ".join(f"{r.name} (in {r.modules[0]}, at most {r.bound:,} MACs)" for r in result.coverage.uncounted)
    return (
        f"strict: {len(result.coverage.uncounted)} operator(s) ran uncounted: {listed}; expected none; "
        "report them, or profile without --strict to get an interval"
    )


def batches(data: Any) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Normalise data to (args, kwargs) of one call each."""
    if isinstance(data, (Tensor, tuple, Mapping)):
        yield _call(data)
        return
    if not isinstance(data, Iterable):
        raise DataError(
            "trace: data must be a tensor, a tuple or dict of arguments, or an iterable of these "
            f"(got {type(data).__name__})"
        )
    for batch in data:
        yield _call(batch[0] if isinstance(batch, list) and batch else batch)


def _call(batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(batch, Tensor):
        return (batch,), {}
    if isinstance(batch, tuple):
        return batch, {}
    if isinstance(batch, Mapping):
        return (), dict(batch)
    raise DataError(f"trace: a batch must be a tensor, a tuple, a list or a dict (got {type(batch).__name__})")


@contextmanager
def _exact_arithmetic() -> Iterator[None]:
    """Grad off, fused attention off: attention then reduces to plain matrix products."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as restore:
        restore.enter_context(torch.inference_mode(False))
        restore.enter_context(torch.no_grad())
        restore.enter_context(sdpa_kernel(SDPBackend.MATH))
        restore.callback(torch.backends.mha.set_fastpath_enabled, fast_path)
        torch.backends.mha.set_fastpath_enabled(False)
        if "torch._dynamo" in sys.modules:
            restore.enter_context(torch.compiler.set_stance("force_eager"))
            restore.enter_context(warnings.catch_warnings())  # our hooks fire, once, where they should
            warnings.filterwarnings("ignore", message=r"Using `torch\.compile\(module\)` when there are global hooks")
        yield


def _collect(recorder: Recorder, model: nn.Module, samples: int, time_steps: int | None) -> Trace:
    neurons = recorder.neurons()
    if time_steps is None:
        seen = {neuron.time_steps for neuron in neurons}
        time_steps = None if not seen else seen.pop() if len(seen) == 1 else MIXED
    return Trace(
        model=eager_class(model),
        layers=tuple(projection.finish() for projection in recorder.projections.values()),
        neurons=neurons,
        elementwise=recorder.elementwise(),
        coverage=recorder.coverage(),
        samples=samples,
        time_steps=time_steps,
    )
