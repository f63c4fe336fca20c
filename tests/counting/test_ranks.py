"""Several processes share a run: gloo on this machine, one Python process for each rank."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.counting.ranks import ALONE, Ranks, launched_ranks, local_rank
from snn_energy.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]

HEAD = """
import sys, torch
from functools import reduce
import snn_energy as se
from snn_energy.counting.ranks import launched_ranks
from snn_energy.errors import RankError, SnnEnergyError, TraceError, UsageError
from torch import nn
torch.set_num_threads(1)
def net(wide=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, wide, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(wide * 16, 3))
def images(n=7):
    return (torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(1)) < 0.4).float()
"""


def start(code: str, size: int, **environment: str) -> list[subprocess.CompletedProcess[str]]:
    """Run `code` as every rank of `size`, without a launcher, and wait for all of them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", HEAD + code],
            env=os.environ
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "OMP_NUM_THREADS": "1"}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "PYTHONPATH": str(ROOT)}
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    found = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=100)
            found.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
    finally:
        for process in processes:
            process.kill()
    return found


MERGE = """
with launched_ranks() as ranks:
    for shares in ([(0, 3), (3, 7)], [(0, 7), (7, 7)], [(0, 0), (0, 7)]):
        first, last = shares[ranks.rank]
        for per_sample in (False, True):
            mine = se.trace(net(), images()[first:last], per_sample=per_sample) if last > first else se.Trace()
            parts = [images()[a:b] for a, b in shares if b > a]
            assert mine.samples == last - first  # trace itself stays local
            whole = se.trace(net(), parts, per_sample=per_sample)
            assert se.merge_across_ranks(mine) == whole, (shares, per_sample)
    try:
        se.merge_across_ranks(se.trace(net(), images()) if ranks.rank else se.trace(nn.Linear(2, 2), torch.ones(1, 2)))
    except TraceError as problem:
        print(f"refused: {problem}")
    broken = se.Trace(samples=-1) if ranks.rank == 1 else se.Trace()
    try:
        se.merge_across_ranks(broken)
    except RankError as problem:
        print(f"all of us: {problem}")
    def usage():
        raise UsageError("the same")
    try:
        ranks.gather(usage)
    except RankError as problem:
        print(problem.exit_code, problem)
    assert ranks.gather(lambda: b"x" * ranks.rank) == [b"", b"x"]
    ranks.agree()
import torch.distributed as dist
assert not dist.is_initialized()
"""


def test_two_processes_merge_to_the_last_integer() -> None:
    """Uneven shares, a rank without data, traces that do not belong together, and an error on one rank alone."""
    for done in start(MERGE, 2):
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert lines[0].startswith("refused: cannot merge traces: model of 'trace' differs")
        assert lines[1] == (
            "all of us: rank 1 of 2: merge_across_ranks: samples must be an integer >= 0 (got -1); "
            "correct the record before saving it"
        )
        assert lines[2] == "2 the same"


DYING = """
import os
with launched_ranks(timeout_s=60) as ranks:
    ranks.agree()
    if ranks.rank == 1:
        os._exit(9)
    try:
        ranks.agree()
    except SnnEnergyError as problem:
        print(type(problem).__name__, str(problem).partition("(")[0])
        os._exit(1)
"""


@pytest.mark.slow
def test_a_process_that_dies_is_noticed() -> None:
    alive, dead = start(DYING, 2)
    assert dead.returncode == 9
    assert alive.returncode == 1
    assert alive.stdout == "LostRankError rank 0 of 2: lost contact with another rank \n"


def test_alone_nothing_is_sent() -> None:
    found = se.trace(nn.Linear(3, 2), torch.ones(2, 3))
    assert se.merge_across_ranks(found) is found
    assert ALONE.gather(lambda: b"a") == [b"a"]
    ALONE.agree()

    def fail() -> bytes:
        raise UsageError("as it is")

    with pytest.raises(UsageError, match=r"^as it is$"):
        ALONE.gather(fail)
    assert Ranks(rank=1, size=2) != ALONE


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"},
        {"WORLD_SIZE": "4"},  # a batch system that says how many, but no launcher that says who is who
    ],
)
def test_without_a_launcher_there_is_one_rank(environment: dict[str, str]) -> None:
    with launched_ranks(environment=environment) as ranks:
        assert ranks == ALONE
    assert not torch.distributed.is_initialized()
    assert local_rank(environment) == 0
    assert local_rank({"LOCAL_RANK": "3"}) == 3


def test_a_process_group_that_exists_is_used_and_left_alone(tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        with launched_ranks() as ranks:
            assert ranks == ALONE
        assert torch.distributed.is_initialized()
        found = se.trace(nn.Linear(3, 2), torch.ones(2, 3))
        assert se.merge_across_ranks(found) is found
    finally:
        torch.distributed.destroy_process_group()
