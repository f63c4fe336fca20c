"""How the differential equations of NIR become time steps: NIR says nothing about it, and simulators differ.

Every neuron is brought into one form, with a decay and a gain for each state:

    I_t = decay_syn I_{t-1} + gain_syn X_t                            (CubaLI, CubaLIF; for all others I_t = X_t)
    V_t = decay V_{t-1} + gain I_t + (1 - decay) V_leak
    S_t = 1 if V_t > threshold, else 0                                ("ge": V_t >= threshold)
    V_t <- V_reset where S_t, or V_t - threshold S_t ("subtract")

With the time step dt, tau dV/dt = V_leak - V + R I becomes

    forward Euler  decay = 1 - dt/tau       gain = R dt/tau            dV/dt = R I becomes gain = R dt
    exponential    decay = exp(-dt/tau)     gain = R (1 - decay)       (exact while the input stays constant)

What the simulators do, read in their importers (snnTorch 1.0.0, SpikingJelly 2.0.0, Norse 1.1.0, Sinabs 3.1.3):

| name         | dt    | decay       | gain                    | IF    | fires | reset     |
|--------------|-------|-------------|-------------------------|-------|-------|-----------|
| nir          | 1e-4  | 1 - dt/tau  | R dt/tau, w_in dt/tau   | R dt  | >     | to value  |
| exponential  | 1e-4  | e^(-dt/tau) | R (1 - decay)           | R dt  | >     | to value  |
| snntorch     | 1e-4  | as nir      | as nir, into threshold  | -     | >     | to 0      |
| spikingjelly | 1e-4  | as nir      | as nir                  | R dt  | >=    | to value  |
| norse        | 1e-3  | 1 - dt/tau  | dt/tau, R is not read   | 1     | >     | to value  |
| sinabs       | 1     | e^(-dt/tau) | 1, R is not read        | 1     | >=    | subtract  |

Norse 1.1.0 itself writes tau dt in place of tau, and cannot read that back: give --dt 1e-6 for the files it wrote.

Norse and snnTorch count a Flatten's axes with the batch, NIR without: their importers flatten the batch as well.

dt is in the unit of the file's time constants, seconds by NIR's convention; Sinabs' are in time steps.

An edge that leads back (recurrence) is instantaneous in NIR. In time steps it hands over what the neuron at its
start put out one step earlier, zero at first; all four simulators agree in that.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from snn_energy.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """One row of the module's table."""

    name: str
    dt: float
    exponential: bool = False
    reads_r: bool = True
    """Whether R scales the input current."""
    unit_gain: bool = False
    """The input current is added as it is, whatever the time constant."""
    fires_at: str = "gt"
    reset: str = "value"

    def decay(self, tau: np.ndarray, dt: float) -> np.ndarray:
        """Factor of a state that is left after one time step; computed in the type of `tau`, as simulators do."""
        ratio = _ratio(dt, tau)
        found: np.ndarray = np.exp(-ratio) if self.exponential else 1 - ratio
        return found

    def time_constant(self, decay: np.ndarray, dt: float) -> np.ndarray:
        """The inverse of `decay`, in double precision."""
        with np.errstate(divide="ignore"):
            found: np.ndarray = -dt / np.log(decay) if self.exponential else dt / (1 - decay)
        return found

    def resistance(self, decay: np.ndarray, gain: np.ndarray) -> np.ndarray:
        """R (or w_in) of a leaky state with this decay and gain: the inverse of `gain`, in double precision."""
        found: np.ndarray = gain / (1 - decay)
        return gain if self.unit_gain else found

    def gain(self, tau: np.ndarray, r: np.ndarray, dt: float) -> np.ndarray:
        """Factor of the input current of a leaky state."""
        if self.unit_gain:
            return np.ones_like(tau)
        lost = 1 - self.decay(tau, dt) if self.exponential else _ratio(dt, tau)
        return _near_one(lost.astype(np.float64) * (r if self.reads_r else 1.0))

    def gain_without_leak(self, r: np.ndarray, dt: float) -> np.ndarray:
        """Factor of the input current of a state that does not leak."""
        return _near_one(r.astype(np.float64) * dt) if self.reads_r else np.ones_like(r, dtype=np.float64)


def _ratio(dt: float, tau: np.ndarray) -> np.ndarray:
    return np.asarray(dt / tau, dtype=tau.dtype)


def _near_one(gain: np.ndarray) -> np.ndarray:
    """Gains that are 1 but for rounding (R = tau/dt in single precision) are 1: then nothing is multiplied."""
    return np.where(np.abs(gain - 1) < _ROUNDING, 1.0, gain)


_ROUNDING = 1e-6

CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        row.name: row
        for row in (
            Convention(name="nir", dt=1e-4),
            Convention(name="exponential", dt=1e-4, exponential=True),
            Convention(name="snntorch", dt=1e-4),
            Convention(name="spikingjelly", dt=1e-4, fires_at="ge"),
            Convention(name="norse", dt=1e-3, reads_r=False),
            Convention(
                name="sinabs", dt=1.0, exponential=True, reads_r=False, unit_gain=True, fires_at="ge", reset="subtract"
            ),
        )
    }
)
"""By name; the first is what a file means by itself."""


def find_convention(name: str) -> Convention:
    """The convention `name`. Errors: UsageError, with the closest name."""
    if name not in CONVENTIONS:
        close = difflib.get_close_matches(name, CONVENTIONS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"unknown NIR convention {name!r}: {hint}expected one of {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]
