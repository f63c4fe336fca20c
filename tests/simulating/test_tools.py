"""Simulators as processes: what is missing, fails or answers nonsense is one line with the pip command."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.errors import PriceError, UsageError
from snn_energy.exporting.simulators import Accelerator, Level
from snn_energy.hardware import load_hardware
from snn_energy.simulating import scalesim_run as runner
from snn_energy.simulating import simulate_scalesim
from snn_energy.simulating.accelerators import accelerator_of
from snn_energy.simulating.energies import our_energies
from snn_energy.simulating.process import Tool, ToolError, run_module


def test_a_tool_that_is_not_installed_names_the_pip_command():
    with pytest.raises(UsageError, match=r"nonesuch-dse is not installed .*; pip install 'nonesuch-dse==1.2'"):
        Tool("nonesuch", "nonesuch-dse", "1.2").version()


def test_a_tool_that_fails_is_told_by_its_last_line(tmp_path):
    tool = Tool("json", "json", "1.2")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ToolError, match=r"json unknown failed with exit code 1 \(.*line 1.*\); tried with version 1.2"):
        run_module(tool, "json.tool", ["bad.json"], tmp_path)
    (tmp_path / "good.json").write_text("[]")
    assert run_module(tool, "json.tool", ["good.json"], tmp_path) == "[]\n"


def test_scalesims_report_is_read_by_its_headings(tmp_path):
    path = tmp_path / "COMPUTE_REPORT.csv"
    path.write_text("LayerID, Total Cycles, Stall Cycles, Util %,\n0, 120.0, 20.0, 3.5,\n1, 7, 0, 1,\n")
    assert runner.compute_report(path) == [
        {"Total Cycles": 120, "Stall Cycles": 20},
        {"Total Cycles": 7, "Stall Cycles": 0},
    ]
    for text in ("", "LayerID, Cycles,\n0, 1,\n", "LayerID, Total Cycles, Stall Cycles,\n0, many, 2,\n"):
        path.write_text(text)
        with pytest.raises(ToolError, match="expected columns Total Cycles, Stall Cycles"):
            runner.compute_report(path)
    with pytest.raises(ToolError, match=r"cannot read its none\.csv"):
        runner.compute_report(tmp_path / "none.csv")


def test_cycles_are_multiplied_by_the_runs_of_one_inference(monkeypatch):
    """SCALE-Sim's place is taken by its own formula, without fill: rows that it would answer with M * N * K cycles."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 4)

        def forward(self, x):
            return torch.stack([self.layer(step) for step in x.unbind(1)]).sum(0)

    def answered(tool, module, arguments, folder):
        (folder / "run").mkdir()
        rows = [line.split(",")[1:-1] for line in (folder / "topology.csv").read_text().splitlines()[1:]]
        lines = [f"{i}, {int(m) * int(n) * int(k) + 3}, 3," for i, (m, n, k) in enumerate(rows)]
        (folder / "run" / "COMPUTE_REPORT.csv").write_text("\n".join(["LayerID, Total Cycles, Stall Cycles,", *lines]))
        return ""

    monkeypatch.setattr(runner, "run_module", answered)
    monkeypatch.setattr(Tool, "version", lambda self: "3.0.0")
    report = se.price(se.trace(Net(), (torch.rand(2, 5, 6) < 0.5).float(), time_steps=5))
    found = simulate_scalesim(report, form="gemm")
    (layer,) = found.layers
    assert (layer.runs, layer.cycles, layer.stall_cycles) == (5, 5 * 24, 5 * 3)
    # 32 x 32 units, output-stationary: 32 + 32 + 6 - 2 cycles, of which SCALE-Sim tells the last one's number
    assert layer.our_cycles == 5 * (68 - 1)
    assert layer.our_energy_pj * 2 == pytest.approx(sum(row.energy_pj for row in report.rows if row.part == "synapses"))
    assert our_energies(report) == {"layer": layer.our_energy_pj}


def test_an_accelerator_takes_its_prices_from_the_profile():
    han = load_hardware("han-45nm-int32")
    assert accelerator_of(han, rows=4, cols=2) == Accelerator(
        name="4 x 2 units, han-45nm-int32",
        rows=4,
        cols=2,
        operand_bits=32,
        mac_pj=3.2,
        levels=(  # Han 2015, Table 1: 1, 5 and 640 pJ for 32 bits, the SRAM of 32 KB
            Level(name="register", kind="register", size_bits=0, access_bits=32, read_pj=1, write_pj=1),
            Level(name="sram_32768", kind="sram", size_bits=262144, access_bits=32, read_pj=5, write_pj=5),
            Level(name="dram", kind="dram", size_bits=10**10, access_bits=32, read_pj=640, write_pj=640),
        ),
    )


def test_reads_and_writes_that_a_profile_tells_apart_stay_apart():
    sata, han = load_hardware("sata-sim-int8"), load_hardware("han-45nm-int32")
    with pytest.raises(PriceError, match="the profile states no dram write"):
        accelerator_of(sata, rows=8, cols=16)
    memories = {name: price for name, price in sata.memory_pj.items() if price.kind != "dram"}
    both = replace(sata, memory_pj={**memories, "dram": han.memory_pj["dram"]})
    (sram,) = [level for level in accelerator_of(both, rows=8, cols=16).levels if level.kind == "sram"]
    # The largest of its memories, 144 KiB: mem-stat.yaml of SATA_Sim
    assert (sram.size_bits, sram.read_pj, sram.write_pj) == (8 * 147456, 28.6315, 28.2197)


@pytest.mark.parametrize(("profile", "missing"), [("loihi", "no mac"), ("aladdin-40nm-int32", "no sram")])
def test_a_profile_without_a_price_is_refused_by_name(profile, missing):
    with pytest.raises(PriceError, match=f"{profile}: the profile states {missing}"):
        accelerator_of(load_hardware(profile), rows=4, cols=4)
