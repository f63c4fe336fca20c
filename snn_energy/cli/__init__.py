"""The command line `snn-energy`; commands call the public interface only and do all the printing."""

from snn_energy.cli.app import app

__all__ = ["app"]
