"""Global module hooks of one trace: they keep the module path and count what can be counted from a hook.

Nothing is written on the modules themselves. The hooks look away from every module that does not run under the
trace's own dispatch mode: in another thread, in the data pipeline, in a callback, or with modes switched off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Token
from functools import partial
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import (
    _get_dispatch_stack_at,
    _len_torch_dispatch_stack,
    _pop_torch_dispatch_stack,
    _push_on_torch_dispatch_stack,
)
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from snn_energy.counting.dispatch import CountingMode
from snn_energy.counting.feedback import count_feedback, feedback_layer, feedback_step
from snn_energy.counting.modules import HELD_INPUT, SHORTCUTS, revisit, shortcut
from snn_energy.counting.ops.products import RECURRENT, WEIGHTED
from snn_energy.counting.quantisers import count_quantiser, is_fake_quantiser, is_observer
from snn_energy.counting.recorder import Recorder, Site
from snn_energy.counting.sights import StepMaps, sight_of_spikes
from snn_energy.counting.sums import FLOATS, row_sum, step_sums
from snn_energy.counting.tags import copied, tensors_in, version_of
from snn_energy.counting.taps import SPIKE_TAP

Finish = Callable[[Any], None]


class Watcher:
    """Watches the modules of one model while it runs in one thread."""

    def __init__(self, recorder: Recorder, mode: CountingMode) -> None:
        self.recorder, self.mode = recorder, mode
        self._thread = get_ident()
        self._running = False
        self._quantisers = {id(m) for m in recorder.modules if is_fake_quantiser(m) or is_observer(m)}
        found = ((id(m), feedback_layer(recorder, m)) for m in recorder.modules)
        self._feedback = {key: row for key, row in found if row is not None}
        rows = recorder.neuron_rows
        self._neurons = {key for key in rows if key not in recorder.mixed and key not in self._feedback}
        self._steps = {
            id(m): feedback_step(m, self._feedback[id(m)]) for m in recorder.modules if id(m) in self._feedback
        }
        self._at_once = {*self._neurons, *self._steps}
        self._silent: tuple[nn.Module, Finish, bool] | None = None
        """The module counted from its hook, inside which the dispatch mode is off; what to do after it; and whether it
        was never entered, being counted as its last call was."""
        self._products: list[int | None] = []
        """Products reported before each running module that multiplies by weights; None for the others."""
        self._flags: list[tuple[bool, bool]] = []

    @contextmanager
    def registered(self) -> Iterator[None]:
        """Hooks are in place inside this context."""
        before = register_module_forward_pre_hook(self._enter)
        after = register_module_forward_hook(self._leave, always_call=True)
        try:
            yield
        finally:
            before.remove()
            after.remove()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The model runs inside this context, under the dispatch mode; whatever an exception left open is closed."""
        with self.mode:
            self._running = True
            try:
                yield
            finally:
                self._running = False
                self._unwind()

    def _unwind(self) -> None:
        # An interrupt skips even hooks that are always called.
        self._speak_after(None)
        if self._flags:
            _set_fused(*self._flags[0])
            self._flags.clear()
        self._products.clear()
        self.recorder.leave_all()

    def _speak_after(self, output: Any) -> None:
        silent, self._silent = self._silent, None
        if silent is not None:
            self._speak(silent[1], output)

    def _speak(self, finish: Finish, output: Any) -> None:
        try:
            finish(output)
        finally:
            _push_on_torch_dispatch_stack(self.mode)

    def _listens(self) -> bool:
        """True where operators that run now reach our dispatch mode first."""
        depth = _len_torch_dispatch_stack()
        return depth > 0 and _get_dispatch_stack_at(depth - 1) is self.mode

    def _enter(self, module: nn.Module, args: Any) -> None:
        if get_ident() != self._thread or not self._running:
            return
        recorder, key = self.recorder, id(module)
        if self._silent is not None:  # below a module that is counted as a whole
            recorder.called.add(key)
            return
        site = recorder.sites.get(key)
        if (site is not None or key in self._at_once) and self._counts_at_once(module, args, site):
            return
        recorder.enter(module)
        self._products.append(recorder.products if isinstance(module, WEIGHTED) else None)
        if not self._listens():
            return
        recorder.behaviour.enter(module, args)
        if id(module) in recorder.mixed:
            recorder.open_neuron(module, args)
        elif (
            id(module) in recorder.neuron_rows
            or (len(args) == 1 and id(module) in self._feedback)
            or id(module) in self._quantisers
            or (type(module) in SHORTCUTS and not recorder.scopes)
        ):
            self._count_from_hook(module, args)
        elif isinstance(module, RECURRENT):
            # Fused recurrent kernels hide their products; plain ones do not.
            self._flags.append((torch._C._get_mkldnn_enabled(), torch.backends.cudnn.enabled))
            _set_fused(mkldnn=False, cudnn=False)

    def _counts_at_once(self, module: nn.Module, args: Any, site: Site | None) -> bool:
        """True if a module is counted from here, without being entered: as its last call was, or as a plain neuron."""
        recorder, key = self.recorder, id(module)
        step = self._steps.get(key) if site is None else None
        if (step is not None and len(args) != 2) or recorder.scopes or recorder.behaviour.running:
            return False
        if not self._listens():
            return False
        finish: Finish | None = None
        _pop_torch_dispatch_stack(None)  # what we do here is not the model's work
        try:
            if site is not None:
                finish = revisit(recorder, module, args, site)
            elif step is not None:
                finish = step.count(recorder, args)
            else:
                recorder.called.add(key)
                finish = self._count_neuron_after(module, args)
        finally:
            if finish is None:
                _push_on_torch_dispatch_stack(self.mode)
        if finish is not None:
            self._silent = module, finish, True
        return finish is not None

    def _count_from_hook(self, module: nn.Module, args: Any) -> None:
        finish: Finish | None = None
        _pop_torch_dispatch_stack(None)  # what we do here is not the model's work
        try:
            if id(module) in self._feedback:  # never a neuron itself
                finish = partial(count_feedback, self.recorder, module, self._feedback[id(module)])
            elif id(module) in self.recorder.neuron_rows:
                finish = self._count_neuron_after(module, args)
            elif id(module) in self._quantisers:
                finish = partial(_count_quantiser, self.recorder, module, args)
            else:
                finish = shortcut(self.recorder, module, args)
        finally:
            if finish is None:
                _push_on_torch_dispatch_stack(self.mode)
        if finish is not None:
            self._silent = module, finish, False

    def _count_neuron_after(self, module: nn.Module, args: Any) -> Finish:
        tap: list[Tensor] = []
        if self.recorder.neuron_rows[id(module)].time_axis is None:  # no tap for one time step
            return partial(_count_neuron_if_done, self.recorder, module, args)
        return partial(_count_tapped_neuron, self.recorder, module, args, tap, SPIKE_TAP.set(tap))

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        silent, recorder = self._silent, self.recorder
        if get_ident() != self._thread or not self._running:
            if self._running and isinstance(module, WEIGHTED) and id(module) in recorder.paths:
                recorder.hidden(module, args, output)
            return
        if silent is not None:
            if silent[0] is not module:
                return
            if silent[2]:
                self._speak_after(output)
                return
        elif not recorder.stack or recorder.stack[-1] is not module:
            return
        if silent is None and recorder.behaviour.watches(module) and self._listens():
            _pop_torch_dispatch_stack(None)
            self._speak(partial(recorder.behaviour.leave, module), output)
        counted_here = silent is not None
        if counted_here:
            self._speak_after(output)
        elif recorder.closes(module):
            if output is not None:
                _pop_torch_dispatch_stack(None)  # our work, not the model's
                self._speak(partial(_count_neuron, recorder, module, args, ()), output)
        elif isinstance(module, RECURRENT) and self._flags:
            _set_fused(*self._flags.pop())
        nothing_counted = self._products.pop() == recorder.products
        if nothing_counted and not counted_here and output is not None:
            recorder.hidden(module, args, output)
        recorder.leave()


def _set_fused(mkldnn: bool, cudnn: bool) -> None:
    torch._C._set_mkldnn_enabled(mkldnn)
    torch.backends.cudnn.enabled = cudnn


def _count_quantiser(recorder: Recorder, module: nn.Module, args: Any, output: Any) -> None:
    if output is not None:  # not after an exception
        count_quantiser(recorder, module, args, output)


def _count_tapped_neuron(
    recorder: Recorder,
    module: nn.Module,
    args: Any,
    tap: list[Tensor],
    token: Token[list[Tensor] | None],
    output: Any,
) -> None:
    """Close the tap, also after an exception (no output then), and record what the neuron did."""
    SPIKE_TAP.reset(token)
    if output is not None:
        _count_neuron(recorder, module, args, tap, output)


def _count_neuron_if_done(recorder: Recorder, module: nn.Module, args: Any, output: Any) -> None:
    if output is not None:
        _count_neuron(recorder, module, args, (), output)


def _count_neuron(recorder: Recorder, module: nn.Module, args: Any, tap: Sequence[Tensor], output: Any) -> None:
    row = recorder.neuron_rows[id(module)]
    spikes = output if isinstance(output, Tensor) else next(tensors_in(output), None)
    shape = next(tensors_in(args), None) if row.shaped_by_input else spikes
    if spikes is None or shape is None:
        name, path = f"neuron without a tensor: {type(module).__name__}", recorder.paths.get(id(module), recorder.path)
        recorder.at(path, [module], partial(recorder.note, "uncounted", name, bound=1))
        return
    tag = recorder.is_spikes(spikes, row.binary_scale)
    maps: StepMaps | None = None
    copy: Callable[[], Tensor] | None = None
    if shape is spikes:
        if row.time_axis is None and spikes.numel() <= HELD_INPUT:
            copy = partial(copied, spikes, tag)
        elif row.binary_scale == 1 and spikes.dtype in FLOATS and row.spiking:
            maps = _maps_of(tap, spikes, row.time_axis)
            if maps is not None:  # all that a projection behind it would find
                tag.sight = sight_of_spikes(version_of(spikes), maps, spikes.dtype)
    recorder.neuron(module, shape, maps, copy)
    if output is not spikes:
        recorder.are_data(output)


def _maps_of(tap: Sequence[Tensor], spikes: Tensor, time_axis: int | None) -> StepMaps | None:
    """The spikes of each time step at each place, from one pass over them: the neuron's own, if it left their sums."""
    if not spikes.numel():
        return None
    if time_axis is None:
        return None if spikes.dim() < 2 else StepMaps([row_sum(spikes)], len(spikes))
    if time_axis or spikes.dim() < 3:
        return None
    if len(tap) == len(spikes) and all(part.shape == spikes.shape[2:] for part in tap):
        return StepMaps(tap, spikes.shape[1])
    return StepMaps.of(step_sums(spikes), spikes.shape[1])
