"""All rows, one file for each theme; importing a theme fills the table."""

from snn_energy.selftest.rows import ROWS
from snn_energy.selftest.traps import (  # noqa: F401  (each import adds its rows)
    attention,
    convolutions,
    elementwise,
    hidden,
    numbers,
    projections,
    recurrent,
    refusals,
    sharing,
    steps,
    values,
)

__all__ = ["ROWS"]
