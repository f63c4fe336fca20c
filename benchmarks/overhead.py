"""Cost of profiling: traced over bare forward, in time and in peak memory.

    python benchmarks/overhead.py [--rounds 15] [--threads 2] [--batches 8]

A spiking VGG-11 (3x32x32, T = 4, batch 16, conv-BN-LIF) runs bare under `no_grad` and traced, interleaved in one
process; the median of the paired ratios is printed, for a run over one batch and over several: a trace looks at the
weights once, whatever the number of batches. It includes everything: hooks, counting, fan-out maps. Peak memory is the
highest resident size of a child process that only runs bare, or only traces.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import torch
from torch import Tensor, nn

import snn_energy as se
from snn_energy.models.neurons import LIF

WIDTHS = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool")
TIME_STEPS, BATCH = 4, 16


class SpikingVGG11(nn.Module):
    """VGG-11 with LIF neurons; time folded into the batch, or stepped one call at a time."""

    def __init__(self, *, stepped: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in WIDTHS:
            if width == "pool":
                layers.append(nn.MaxPool2d(2))
                continue
            conv = nn.Conv2d(channels, int(width), 3, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(int(width)), LIF(decay=0.5)]
            channels = int(width)
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(512, 10)
        self.stepped = stepped

    def forward(self, x: Tensor) -> Tensor:
        """Images `n c h w` to logits `n classes`."""
        if self.stepped:  # the whole network once for each time step: many small calls
            return torch.stack([self._run(x[None]) for _ in range(TIME_STEPS)]).mean(0)
        return self._run(x.expand(TIME_STEPS, *x.shape))

    def _run(self, x: Tensor) -> Tensor:
        steps = x.shape[0]
        x = x.flatten(0, 1)
        for layer in self.layers:
            x = layer(x.unflatten(0, (steps, -1))).flatten(0, 1) if isinstance(layer, LIF) else layer(x)
        return self.head(x.flatten(1)).unflatten(0, (steps, -1)).mean(0)


def network(*, stepped: bool) -> tuple[nn.Module, Tensor]:
    """A network whose layers fire at realistic rates, and its input."""
    torch.manual_seed(0)
    model = SpikingVGG11(stepped=stepped)
    x = torch.rand(BATCH, 3, 32, 32)
    with torch.no_grad():
        for _ in range(10):  # settle the running statistics of the batch norms
            model.train()(x)
    return model.eval(), x


def bare(model: nn.Module, x: Tensor, batches: int) -> None:
    """The forward alone."""
    with torch.no_grad():
        for _ in range(batches):
            model(x)


def traced(model: nn.Module, x: Tensor, batches: int) -> None:
    """The forward with everything counted."""
    se.trace(model, [x] * batches)


def measure(rounds: int, batches: int, *, stepped: bool) -> dict[str, float]:
    """Median times of one batch and the median paired ratio."""
    model, x = network(stepped=stepped)
    times: dict[str, list[float]] = {"bare": [], "traced": []}
    for index in range(rounds + 2):
        for name, run in (("bare", bare), ("traced", traced)):
            start = time.perf_counter()
            run(model, x, batches)
            if index >= 2:
                times[name].append(time.perf_counter() - start)
    return {
        "bare_ms": statistics.median(times["bare"]) * 1e3 / batches,
        "traced_ms": statistics.median(times["traced"]) * 1e3 / batches,
        "ratio": statistics.median(t / b for t, b in zip(times["traced"], times["bare"], strict=True)),
    }


def peak_mb(what: str) -> float:
    """Peak resident memory of a child process that runs three forwards one way."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; import overhead; overhead.child({what!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


def child(what: str) -> None:
    """Run in the child process."""
    model, x = network(stepped=False)
    {"bare": bare, "traced": traced}[what](model, x, 3)
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for stepped in (False, True):
        for batches in dict.fromkeys((1, options.batches)):
            result = measure(options.rounds, batches, stepped=stepped)
            label = "one call for each time step" if stepped else "time folded into the batch"
            print(
                f"{label}, {batches} batch(es): bare {result['bare_ms']:.1f} ms, traced {result['traced_ms']:.1f} ms "
                f"a batch, ratio {result['ratio']:.3f} (median of {options.rounds} interleaved pairs)",
                flush=True,
            )
    memory = {what: peak_mb(what) for what in ("bare", "traced")}
    print(
        f"peak memory: bare {memory['bare']:.0f} MB, traced {memory['traced']:.0f} MB, "
        f"ratio {memory['traced'] / memory['bare']:.3f}"
    )
