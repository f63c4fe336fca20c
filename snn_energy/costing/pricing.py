"""Price a trace: pure, linear in the profile, additive in traces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from snn_energy.costing import arithmetic, published  # noqa: F401  they register their methods
from snn_energy.costing.memory import pricing_memory  # noqa: F401  likewise
from snn_energy.costing.methods import find_method
from snn_energy.costing.published_methods import reports  # noqa: F401  likewise
from snn_energy.costing.report import Report
from snn_energy.costing.timing.estimate import latency_of
from snn_energy.counting.counts import Trace
from snn_energy.counting.samples import each_sample
from snn_energy.errors import TraceError
from snn_energy.hardware import Hardware, load_hardware

DEFAULT_HARDWARE = "horowitz-45nm-fp32"
DEFAULT_METHOD = "arithmetic"


def price(trace: Trace, hardware: str | Path | Hardware = DEFAULT_HARDWARE, method: str = DEFAULT_METHOD) -> Report:
    """Turn counts into energies (pJ, totals over all samples), and into one for each sample where the trace tells.

    Args:
        trace: what happened.
        hardware: name of a shipped profile, path of a TOML file, or a loaded profile.
        method: `arithmetic`, or `arithmetic-zero-skipping`; `every-operation-ac` is how some published claims count,
            and so are the complete ones of `costing.published_methods`, like `syops`.
            `arithmetic+memory` and `arithmetic-zero-skipping+memory` add the traffic of weights, inputs, sums and
            states, with options behind a colon: see `costing.memory.policy`.

    Raises:
        UsageError: unknown method or hardware.
        PriceError: an action was counted that the profile neither prices nor declares unpriced.
        TraceError: the trace holds no sample.
    """
    if not trace.samples:
        raise TraceError("price: the trace holds no sample; trace at least one before pricing")
    chosen = find_method(method)
    profile = hardware if isinstance(hardware, Hardware) else load_hardware(hardware)
    report = chosen(trace, profile)
    if profile.latency is not None:
        report = replace(report, latency=latency_of(trace, profile.latency, profile))
    if trace.per_sample is None:
        return report
    return replace(report, samples_pj=tuple(chosen(sample, profile).energy_pj for sample in each_sample(trace)))
