"""What counting costs: time and peak memory over the bare forward, for this package and for other counters.

    python benchmarks/overhead.py [--rounds 7] [--batches 8] [--threads 2] [--only vgg,recurrent] [--path syops=FOLDER]

Six networks of realistic size (tests/networks.py, batch 16), each with time folded into the batch and stepped. One
child process for each network and counter runs the bare forward under `no_grad` and the counter in turn, in pairs; the
median of the paired ratios of wall-clock times is printed. "1" is a run of one batch, "N" one of --batches: a trace
looks at the weights and sets up its records once. Memory is the highest resident size of a child that only traces over
that of a child that only runs bare. Other counters are asked as counters.py says, for one batch; one that is not
installed, fails, or takes more than a minute is named as such. `--path NAME=FOLDER` puts a folder on a counter's path.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

OURS = "snn_energy"
OTHERS = ("SpikingJelly", "NeuroBench", "syops")
PATIENCE_S = 60.0


def paired(bare: Callable[[], Any], other: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Median time of the bare run in ms, and the median of the paired ratios."""
    bare_s, ratios = [], []
    for index in range(rounds + 1):
        gc.collect()
        start = time.perf_counter()
        bare()
        between = time.perf_counter()
        other()
        end = time.perf_counter()
        if index:  # the first pair warms up
            bare_s.append(between - start)
            ratios.append((end - between) / (between - start))
    return {"bare_ms": statistics.median(bare_s) * 1e3, "ratio": statistics.median(ratios)}


def child(options: argparse.Namespace) -> dict[str, Any]:
    """Runs in the child: one network and one counter, or one side of the memory measurement."""
    import torch
    from networks import BATCH_AXIS, NETWORKS

    import snn_energy as se

    torch.set_num_threads(options.threads)
    model, x = NETWORKS[options.network]("bench", options.stepped)
    axis = BATCH_AXIS[options.network]

    def bare(batches: int) -> None:
        with torch.no_grad():
            for _ in range(batches):
                model(x)

    def traced(batches: int) -> Any:
        return se.trace(model, [x] * batches, batch_axis=axis)

    if options.child == "memory":
        (traced if options.traced else bare)(3)
        return {"kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    if options.child == OURS:
        one = paired(lambda: bare(1), lambda: traced(1), options.rounds)
        many = paired(lambda: bare(options.batches), lambda: traced(options.batches), max(3, options.rounds // 2))
        return {"bare_ms": one["bare_ms"], "one": one["ratio"], "many": many["ratio"]}
    from counters import COUNTERS

    counter = COUNTERS[options.child]
    missing = counter.available()
    if missing is not None:
        return {"failed": missing}
    start = time.perf_counter()
    counter.count(model, x)
    if time.perf_counter() - start > PATIENCE_S / 4:
        return {"failed": f"more than {PATIENCE_S / 4:.0f} s"}
    return paired(lambda: bare(1), lambda: counter.count(model, x), min(3, options.rounds))


def ask(what: str, network: str, options: argparse.Namespace, *, stepped: bool, traced: bool = False) -> dict[str, Any]:
    """What one child found; a failure is an answer too."""
    arguments = ["--child", what, "--network", network, "--rounds", options.rounds, "--batches", options.batches]
    arguments += ["--threads", options.threads, *(["--stepped"] if stepped else []), *(["--traced"] if traced else [])]
    paths = [folder for name, _, folder in (entry.partition("=") for entry in options.path) if name == what]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*paths, str(HERE.parent), *sys.path[2:]])}
    limit = PATIENCE_S if what in OTHERS else None
    command = [sys.executable, "-W", "ignore", __file__, *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"more than {PATIENCE_S:.0f} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"failed": lines[-1] if lines else f"exit code {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


def shown(answer: dict[str, Any], key: str = "ratio") -> str:
    """A ratio, or a dash where there is none."""
    return f"{answer[key]:.2f}" if key in answer else "-"


def main(options: argparse.Namespace) -> None:
    """Print one line for each network, then why a counter gave none."""
    from networks import NETWORKS

    names = options.only.split(",") if options.only else list(NETWORKS)
    heads = ["network", "time", "bare ms", f"{OURS} 1", f"{options.batches}", "memory", *OTHERS]
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    reasons: dict[str, None] = {}
    for name in names:
        for stepped in (False, True):
            ours = ask(OURS, name, options, stepped=stepped)
            sizes = [ask("memory", name, options, stepped=stepped, traced=traced) for traced in (False, True)]
            memory = {"ratio": sizes[1]["kb"] / sizes[0]["kb"]} if all("kb" in size for size in sizes) else {}
            others = [ask(other, name, options, stepped=stepped) for other in OTHERS]
            cells = [shown(ours, "bare_ms"), shown(ours, "one"), shown(ours, "many"), shown(memory)]
            cells += [shown(other) for other in others]
            print("| " + " | ".join([name, "stepped" if stepped else "folded", *cells]) + " |", flush=True)
            for who, answer in zip((OURS, *OTHERS), (ours, *others), strict=True):
                if "failed" in answer:
                    reasons[f"{who}, {name}: {answer['failed'][:160]}"] = None
    for reason in reasons:
        print(f"- {reason}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--path", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    parser.add_argument("--network", default="", help=argparse.SUPPRESS)
    parser.add_argument("--stepped", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--traced", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(given)))
    else:
        main(given)
