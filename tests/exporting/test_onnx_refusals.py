"""Networks that ONNX cannot hold are refused in one line that names the construct, and no file is left."""

from __future__ import annotations

import inspect
import json

import pytest
import torch
from torch import nn

from snn_energy.errors import DataError, SnnEnergyError, UsageError
from snn_energy.exporting import ExportError, ExportRefused, export_onnx


class Branch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x * 2
        return x


class Loop(nn.Module):
    def forward(self, x):
        for _ in range(int(x.abs().max().item())):
            x = x + 1
        return x


class Cond(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda a: a * 2, lambda a: a + 1, (x,))


class FixedBatch(nn.Module):
    def forward(self, x):
        return x + torch.ones(2, 1)


class Special(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


class Numpy(nn.Module):
    def forward(self, x):
        return torch.from_numpy(x.numpy() * 2)


class Poisson(nn.Module):
    def forward(self, x):
        return (torch.rand_like(x) < x).float()


class Stateful(nn.Module):
    def __init__(self):
        super().__init__()
        self.membrane = 0.0

    def forward(self, x):
        self.membrane = self.membrane * 0.5 + x
        return (self.membrane > 1).float()


class Pair(nn.Module):
    def forward(self, x):
        return x, x + 1


class Inner(nn.Module):
    def __init__(self, part):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.part = part

    def forward(self, x):
        return self.part(self.first(x))


BRANCH = inspect.getsourcelines(Branch.forward)[1] + 1
EXAMPLE = torch.tensor([[0.9, 0.8, 1.5, 0.7], [0.2, 1.9, 0.4, 1.1]])

REFUSED = {
    "branch": (Branch(), f"Branch, line {BRANCH} of", "control flow or a size depends on values in the data"),
    "inner branch": (Inner(Branch()), f"part (Branch, line {BRANCH} of", "write the choice with torch.where"),
    "loop": (Loop(), "Loop, line ", "control flow or a size depends on values in the data"),
    "cond": (Cond(), "Cond", "control flow stays in the graph (operator If)"),
    "fixed batch": (FixedBatch(), "FixedBatch", "the code fixes the batch size, here to 2"),
    "no such operator": (Special(), "Special", "bessel_j0 has no ONNX form"),
    "numpy": (Numpy(), "Numpy, line ", "write this part with torch operators"),
    "state": (Stateful(), "Stateful", "keeps state between calls"),
    "two results": (Pair(), "Pair", "expected one tensor of logits [N, ...] with N = 2 (got a tuple)"),
    "wrong example": (nn.Linear(3, 2), "Linear", "cannot run on an example of shape [2, 4]"),
}


@pytest.mark.parametrize(("network", "place", "construct"), REFUSED.values(), ids=REFUSED)
def test_refusal_names_place_and_construct_in_one_line(network, place, construct, tmp_path, capfd):
    with pytest.raises(ExportError) as caught:
        export_onnx(network, EXAMPLE, tmp_path / "net.onnx")
    message = str(caught.value)
    assert message.startswith(place)
    assert construct in message
    assert "\n" not in message
    assert "; " in message, "the next step is missing"
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", ""), "torch's own log must stay off the terminal"


def test_random_numbers_are_a_loss_that_force_writes_down(tmp_path):
    path = tmp_path / "net.onnx"
    with pytest.raises(ExportRefused, match=r"the same output in every run \(part \(Poisson\)\): it draws random"):
        export_onnx(Inner(Poisson()), EXAMPLE, path)
    assert list(tmp_path.iterdir()) == []
    done = export_onnx(Inner(Poisson()), EXAMPLE, path, force=True)
    assert done.operators["RandomUniformLike"] == 1
    (loss,) = json.loads(done.metadata["snn_energy.losses"])
    assert (loss["where"], "RandomUniformLike" in loss["why"]) == ("part (Poisson)", True)
    again = export_onnx(Inner(Poisson()), EXAMPLE, tmp_path / "again.onnx", force=True)
    assert again.operators == done.operators


def test_the_state_of_a_refused_network_is_untouched(tmp_path):
    network = Stateful()
    with pytest.raises(ExportError):
        export_onnx(network, EXAMPLE, tmp_path / "net.onnx")
    assert network.membrane == 0.0


@pytest.mark.parametrize("opset", [17, 99, True, "18"])
def test_opsets_out_of_range(opset, tmp_path):
    with pytest.raises(UsageError, match="opset must be an integer from 18 to"):
        export_onnx(nn.Linear(4, 2), EXAMPLE, tmp_path / "net.onnx", opset=opset)


@pytest.mark.parametrize("example", [EXAMPLE[:0], torch.tensor(1.0), [1, 2]], ids=["empty", "scalar", "list"])
def test_examples_that_are_none(example, tmp_path):
    with pytest.raises(DataError, match="example must be a tensor"):
        export_onnx(nn.Linear(4, 2), example, tmp_path / "net.onnx")


def test_disagreement_leaves_an_existing_file_alone(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"old")
    with pytest.raises(ExportError, match=r"not written: onnxruntime and the network disagree by up to"):
        export_onnx(nn.Linear(4, 2), EXAMPLE, path, verify=EXAMPLE, tolerance=-1.0)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_every_refusal_is_an_error_of_this_package():
    assert issubclass(ExportError, SnnEnergyError)
