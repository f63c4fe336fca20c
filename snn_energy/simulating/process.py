"""A tool in a process of its own: what it prints, changes and leaves open stays there."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from snn_energy.errors import SnnEnergyError, UsageError


class ToolError(SnnEnergyError):
    """A simulator failed on its input, or answered what we cannot read."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A simulator: the package that is imported, its name on the package index, the version that was tried."""

    package: str
    distribution: str
    tried: str

    @property
    def pip_command(self) -> str:
        """How to install it."""
        return f"pip install '{self.distribution}=={self.tried}'"

    def version(self) -> str:
        """Return the installed version; UsageError, naming the pip command, where it is not installed."""
        if importlib.util.find_spec(self.package) is None:
            raise UsageError(
                f"{self.distribution} is not installed (expected the package {self.package}); {self.pip_command}"
            )
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return "unknown"


def run_module(tool: Tool, module: str, arguments: Sequence[str], folder: Path) -> str:
    """Run `python -m module arguments` in `folder` and return its standard output.

    The process finds packages where this one does. Errors: ToolError with the last line that the tool printed.
    """
    places = os.pathsep.join(dict.fromkeys(str(Path(place).resolve()) for place in sys.path if place))
    environment = {**os.environ, "PYTHONPATH": places, "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        last = lines[-1] if lines else "no message"
        raise ToolError(
            f"{tool.distribution} {tool.version()} failed with exit code {done.returncode} ({last});"
            f" tried with version {tool.tried}: {tool.pip_command}"
        )
    return done.stdout
