"""Two gloo processes train as one does: the same step from the same batch, the same bytes after a resume."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

HEAD = """
import sys, torch, torch.distributed as dist
from dataclasses import replace
from pathlib import Path
from snn_energy.errors import RankError, SnnEnergyError, UsageError
from snn_energy.models import build
from snn_energy.training import EpochDone, Recipe, load_images, train
from snn_energy.training.batches import epoch_batches
from snn_energy.training.distributed import World, this_world
from snn_energy.training.learner import Learner, Tally
from snn_energy.training.network import input_spec
from snn_energy.training.synced_norms import synced_norms
torch.set_num_threads(1)
folder = Path(sys.argv[1])
dist.init_process_group("gloo")
rank = dist.get_rank()
RECIPE = Recipe(dataset="digits", model_args={"widths": [6, 8]}, epochs=1, batch_size=64, time_steps=2, accumulate=2,
                clip_norm=1.0, ema_decay=0.9, augmentation={"shift_pixels": 1}, snap_bits=None)
"""

# In float64 a difference in the order of summation is 1e-16 and turns no spike, so whole epochs can be compared.
EQUAL = """
class Twice:
    def __init__(self):
        self.seen = []
    def watching(self, model): ...
    def loss(self, samples):
        return 0.3 * self.model.head.weight.square().sum()
    def record(self): ...
    def to_plain(self): ...
def learnt(world, shape, penalty=None):
    args = dict(in_channels=1, classes=10, image_size=8, time_steps=2)
    torch.manual_seed(0)
    model = build("spiking-cnn", **args, widths=[6, 8], **shape).double()
    if penalty is not None:
        penalty.model = model
    learner, data, tally = Learner(RECIPE, model, world, penalty), load_images("digits", "train"), Tally()
    with synced_norms(model, active=world.size > 1):
        for batch in epoch_batches(RECIPE, data, input_spec(RECIPE, data), 0):
            learner.step(0, replace(batch, x=batch.x.double()), 0.1, tally)
    assert type(model.blocks[0].norm) in (torch.nn.BatchNorm2d, torch.nn.Identity)
    return learner, tally
for shape, penalty in (({}, None), ({"folded": True}, Twice())):
    shared, mine = learnt(this_world(torch.device("cpu")), shape, penalty)
    alone, whole = learnt(World(), shape, penalty)
    assert this_world(torch.device("cpu")).size == 2
    for a, b in zip(shared.model.state_dict().values(), alone.model.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    for a, b in zip(shared.average.model.state_dict().values(), alone.average.model.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    assert (mine.correct, mine.samples) == (whole.correct, whole.samples) and whole.samples == 1437
    assert abs(mine.loss - whole.loss) < 1e-6, (mine.loss, whole.loss)
print("equal")
"""

RESUME = """
recipe = replace(RECIPE, epochs=2, snap_bits=8, validation=101, keep="best")
events = []
train(recipe, out=folder / "whole.pt", progress=events.append)
assert bool(events) == (rank == 0)
step = Learner.step
for epoch, number in ((0, 9), (2, 3)):
    def stop(self, at, batch, *rest):
        if (at, batch.number) == (epoch, number):
            raise KeyboardInterrupt
        step(self, at, batch, *rest)
    Learner.step = stop
    try:
        train(recipe, out=folder / "a.pt", save_every=4, resume=epoch > 0)
    except KeyboardInterrupt:
        pass
    Learner.step = step
    dist.barrier()
result = train(recipe, out=folder / "a.pt", resume=True)
dist.barrier()
payloads = [torch.load(folder / name, weights_only=True) for name in ("whole.pt", "a.pt")]
for payload in payloads:
    assert payload["training"].pop("seconds") >= 0 and payload["training"]["processes"] == 2
states = [payload.pop("state") for payload in payloads]
assert payloads[0] == payloads[1]
assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
assert result.snapped.correct == payloads[1]["training"]["test_correct"] > 100
names = sorted(path.name for path in folder.iterdir())
assert names == ["a.pt", "a.pt.csv", "whole.pt", "whole.pt.csv"], names
print("resumed")
"""

FAILURES = """
def refused(call):
    try:
        call()
    except SnnEnergyError as problem:
        return f"{type(problem).__name__}: {problem}"
own = folder / str(rank)
own.mkdir()
if rank == 1:  # something is in the way on one machine alone
    (own / "a.pt.resume").write_bytes(b"x")
print("|", refused(lambda: train(RECIPE, out=own / "a.pt")), "|")
print("|", refused(lambda: train(replace(RECIPE, batch_size=1436, accumulate=1), out=folder / "b.pt")), "|")
print("|", refused(lambda: train(RECIPE, out=folder / "none" / "c.pt")), "|")
print("|", refused(lambda: train(replace(RECIPE, learning_rate=1e30, warmup_epochs=0, clip_norm=0.0),
    out=folder / "d.pt")).split(" in epoch")[0], "|")
"""


def start(code, folder, size=2):
    """Run `code` as every rank of `size` and return what each printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", HEAD + code, str(folder)],
            env=os.environ
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "OMP_NUM_THREADS": "1"}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    printed = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=200)
            assert process.returncode == 0, err
            printed.append(out)
    finally:
        for process in processes:
            process.kill()
    return printed


def test_two_processes_are_one(tmp_path):
    assert start(EQUAL, tmp_path) == ["equal\n"] * 2


@pytest.mark.slow
def test_two_processes_go_on_exactly(tmp_path):
    assert start(RESUME, tmp_path) == ["resumed\n"] * 2


@pytest.mark.slow
def test_the_failure_of_one_is_the_failure_of_all(tmp_path):
    first, second = (text.splitlines() for text in start(FAILURES, tmp_path))
    assert first[0].startswith("| RankError: rank 1 of 2: ")
    for text in (first[0], second[0]):
        assert "a.pt.resume: an unfinished training is here; resume it, or delete the file to start anew |" in text
    assert first[1] == second[1]
    assert "leaves a last batch of 1 samples in 1 parts: expected one sample at least" in first[1]
    assert "no folder" in first[2]
    assert second[2].startswith("| RankError: rank 0 of 2: cannot write ")
    assert first[3] == second[3]
    assert first[3].startswith("| TrainingError: training: loss ")
