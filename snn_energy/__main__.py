"""`python -m snn_energy` is `snn-energy`: the form that `torchrun -m` needs."""

from snn_energy.cli import app

if __name__ == "__main__":
    app(prog_name="snn-energy")
