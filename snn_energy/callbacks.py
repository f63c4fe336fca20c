"""Energy beside accuracy while a network trains: an energy log for any loop, and a callback for Lightning.

log = EnergyLog(validation_images, hardware="horowitz-45nm-int8")
for epoch in range(epochs):
    ...
    log.measure(network, epoch)          # {"energy_per_inference_pj": ..., "spike_rate": ..., ...}
log.to_frame()

trainer = lightning.Trainer(callbacks=[lightning_callback(log)])
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from snn_energy.costing.pricing import DEFAULT_HARDWARE, DEFAULT_METHOD
from snn_energy.costing.profiling import profile
from snn_energy.costing.report import Report
from snn_energy.errors import UsageError
from snn_energy.files import write_atomic
from snn_energy.hardware import Hardware, load_hardware

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


class EnergyLog:
    """Profiles a network on the same data again and again, and keeps what changed.

    Args:
        data: what `snn_energy.profile` takes; an iterable must be one that can be read again, a list or a DataLoader.
            A few hundred samples of the validation set do: each measurement is one counted pass over them.
        hardware, method: see `snn_energy.profile`.
        every: measure only when this number divides the epoch's.
        **options: passed to `snn_energy.profile`, like `samples` and `strict`.

    Counting runs in eval mode under `no_grad` and leaves modes, hooks and weights as they were. Networks whose neurons
    keep their state between calls are to be reset as in the training loop. Errors: UsageError when `every` is no
    integer >= 1 or `data` can be read only once; what `profile` raises.
    """

    def __init__(
        self,
        data: Any,
        hardware: str | PathLike[str] | Hardware = DEFAULT_HARDWARE,
        method: str = DEFAULT_METHOD,
        *,
        every: int = 1,
        **options: Any,
    ) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise UsageError(f"EnergyLog: every must be an integer >= 1 (got {every!r})")
        if hasattr(data, "__next__"):
            raise UsageError(
                "EnergyLog: the data are read at each measurement, and an iterator can be read only once "
                f"(got {type(data).__name__}); pass a tensor, a list or a DataLoader"
            )
        # A mistyped name should fail before the first epoch, not after it.
        self._hardware = hardware if isinstance(hardware, Hardware) else load_hardware(str(hardware))
        self._data, self._method, self._every, self._options = data, method, every, options
        self.records: list[dict[str, Any]] = []
        """One for each measurement: `epoch`, and the values that `measure` returned."""
        self.report: Report | None = None
        """The latest measurement, whole."""

    def measure(self, model: nn.Module, epoch: int) -> dict[str, float]:
        """Return and keep the measured values; none where `every` passes this epoch over.

        energy_per_inference_pj; ac_, mac_, neuron_ and other_pj, its components; acs, macs and spikes per inference;
        spike_rate, spikes per neuron and time step over all neuron layers (absent without neurons); complete, 1 when
        nothing was left out.
        """
        if epoch % self._every:
            return {}
        report = profile(model, self._data, self._hardware, self._method, **self._options)
        values = _values(report)
        self.report = report
        self.records.append({"epoch": epoch, **values})
        return values

    def to_frame(self) -> pd.DataFrame:
        """The records as a table, one row for each measurement."""
        import pandas as pd

        return pd.DataFrame(self.records)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the records as CSV, the whole file or nothing."""
        columns = list(dict.fromkeys(name for record in self.records for name in record))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.records)
        write_atomic(path, text.getvalue())


def _values(report: Report) -> dict[str, float]:
    samples, neurons = report.trace.samples, report.trace.neurons
    steps = sum(neuron.updates for neuron in neurons)
    spikes = sum(neuron.spikes for neuron in neurons)
    return {
        "energy_per_inference_pj": report.energy_per_inference_pj,
        **{f"{name}_pj": energy / samples for name, energy in report.components_pj.items()},
        "acs": sum(row.acs for row in report.rows) / samples,
        "macs": sum(row.macs for row in report.rows) / samples,
        "spikes": spikes / samples,
        **({"spike_rate": spikes / steps} if steps else {}),
        "complete": float(report.complete),
    }


def lightning_callback(log: EnergyLog, prefix: str = "energy/") -> Any:
    """Return a callback for Lightning's Trainer that measures after each validation and logs under `prefix`.

    The numbers go where the module's other ones go (progress bar apart), named like "energy/energy_per_inference_pj".
    Works with `lightning` and with `pytorch_lightning`. Errors: UsageError when neither is installed.
    """
    callback = _lightning_base()

    class EnergyCallback(callback):  # type: ignore[misc, valid-type]
        """Measures with an EnergyLog after each validation epoch, but not in the sanity check."""

        def on_validation_epoch_end(self, trainer: Any, module: Any) -> None:
            """Measure and log, on the first process alone."""
            if trainer.sanity_checking or not trainer.is_global_zero:
                return
            values: Mapping[str, float] = log.measure(module, trainer.current_epoch)
            module.log_dict({f"{prefix}{name}": value for name, value in values.items()}, rank_zero_only=True)

    return EnergyCallback()


def _lightning_base() -> Any:
    """The class Callback of whichever Lightning is installed."""
    try:
        from lightning.pytorch.callbacks import Callback
    except ModuleNotFoundError:
        try:
            from pytorch_lightning.callbacks import Callback
        except ModuleNotFoundError:
            raise UsageError(
                "lightning_callback: neither lightning nor pytorch_lightning is installed; pip install lightning, or "
                "call EnergyLog.measure in your own loop"
            ) from None
    return Callback
