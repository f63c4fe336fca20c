"""Launcher for a checkout: `python cli.py ...` is `snn-energy ...`."""

from snn_energy.cli import app

if __name__ == "__main__":
    app()
