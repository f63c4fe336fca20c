"""Checkpoints of few bytes: snapped weights in one byte each, others as float16; read back exactly."""

from __future__ import annotations

import contextlib
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snn_energy.errors import CheckpointError, UsageError
from snn_energy.models import (
    build,
    fold,
    load_checkpoint,
    load_state_dict_file,
    round_weights,
    save_checkpoint,
    snap,
)
from snn_energy.models.inputs import unit_pixels
from snn_energy.models.packing import pack, unpack
from snn_energy.models.snapping import channel_exponents

SUFFIXES = (".pt", ".safetensors")
on_both = pytest.mark.parametrize("suffix", SUFFIXES)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build("spiking-vgg", in_channels=1, classes=3, image_size=8, stages=[[8], [16, 16]]).eval()


def save(path: Path, model: nn.Module, **options: Any) -> Path:
    fixed: dict[str, Any] = {
        "input": unit_pixels(1, 8, 8),
        "classes": ("a", "b", "c"),
        "dataset": "toy",
        "training": {},
    }
    return save_checkpoint(path, model, **fixed, **options)


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@on_both
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("bits", [8, 4])
def test_a_snapped_network_is_read_as_it_was(tmp_path: Path, suffix: str, per_channel: bool, bits: int) -> None:
    model = snap(fold(network()), bits, per_channel)
    path = save(tmp_path / f"net{suffix}", model, weight_bits=bits)
    checkpoint = load_checkpoint(path)
    assert checkpoint.format_version == 2
    read, plain = checkpoint.model.state_dict(), load_state_dict_file(path)
    for name, value in model.state_dict().items():
        assert read[name].dtype == plain[name].dtype == torch.float32
        assert torch.equal(read[name], value)
        assert torch.equal(plain[name], value)
    x = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(checkpoint.model(x), model(x))
    again = save(tmp_path / f"other{suffix}", checkpoint.model, weight_bits=bits)
    assert again.read_bytes() == path.read_bytes()


@on_both
@pytest.mark.parametrize("name", ["windowed-cnn", "windowed-rnn"])
def test_networks_that_cannot_be_snapped(tmp_path: Path, suffix: str, name: str) -> None:
    """Their weights alone are rounded, by at most half a step, and read back; thresholds and biases stay."""
    torch.manual_seed(0)
    small: dict[str, Any] = {"widths": [4, 8], "depths": [1, 1], "learn_threshold": True}
    model = build(name, in_channels=1, classes=3, image_size=8, **small)
    nn.init.normal_(model.head.weight)
    rounded = round_weights(model)
    kept = 0
    for (key, value), other in zip(rounded.named_parameters(), model.parameters(), strict=True):
        if value.dim() < 2:
            assert torch.equal(value, other), key
            kept += 1
            continue
        step = 2.0 ** -torch.tensor(channel_exponents(other, 8)).reshape(-1, *(1,) * (other.dim() - 1))
        assert not torch.equal(value, other)
        assert ((value - other).abs() <= step / 2).all(), key
    assert kept > 0
    path = save(tmp_path / f"net{suffix}", rounded, weight_bits=8)
    read = load_checkpoint(path).model.state_dict()
    assert all(torch.equal(read[key], value) for key, value in rounded.state_dict().items())
    with pytest.raises(UsageError, match=r"round_weights: bits must be an integer from 2 to 8 \(got 1\)"):
        round_weights(model, 1)


@on_both
def test_what_it_weighs(tmp_path: Path, suffix: str) -> None:
    """One byte a weight, two as float16, four as float32, and the same few kB of names and biases in each."""
    torch.manual_seed(0)
    stages = [[64], [128, 128]]
    model = snap(fold(build("spiking-vgg", in_channels=1, classes=3, image_size=8, stages=stages)))
    weights = 9 * (64 + 64 * 128 + 128 * 128) + 128 * 2 * 2 * 3
    rest = 4096 if suffix == ".safetensors" else 16384
    for options, each in (({"weight_bits": 8}, 1), ({"weight_dtype": "float16"}, 2), ({}, 4)):
        size = save(tmp_path / f"net{suffix}", model, **options).stat().st_size
        assert each * weights < size < each * weights + rest


@on_both
def test_float16_rounds_weights_alone(tmp_path: Path, suffix: str) -> None:
    model = network()
    with torch.no_grad():
        for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
            norm.running_var.fill_(1e6)  # more than float16 can hold
    path = save(tmp_path / f"net{suffix}", model, weight_dtype="float16")
    checkpoint = load_checkpoint(path)
    assert checkpoint.format_version == 1
    read, different = checkpoint.model.state_dict(), 0
    for name, value in model.state_dict().items():
        expected = value.half().to(value.dtype) if value.dim() > 1 else value
        assert read[name].dtype == value.dtype
        assert torch.equal(read[name], expected)
        different += not torch.equal(expected, value)
    assert different == 4, "every weight of this network needs more than float16 has"
    again = save(tmp_path / f"other{suffix}", checkpoint.model, weight_dtype="float16")
    assert again.read_bytes() == path.read_bytes()


def test_what_cannot_be_saved_so(tmp_path: Path) -> None:
    folded = fold(network())
    with pytest.raises(UsageError, match=r"weight_bits=8: stages\.0\.0\.conv\.weight is not made of 8-bit integers"):
        save(tmp_path / "net.pt", folded, weight_bits=8)
    with pytest.raises(UsageError, match=r"weight_bits=4: stages\.0\.0\.conv\.weight is not made of 4-bit integers"):
        save(tmp_path / "net.pt", snap(folded, 8), weight_bits=4)
    with pytest.raises(UsageError, match=r"weight_bits must be an integer from 2 to 8 \(got 16\)"):
        save(tmp_path / "net.pt", folded, weight_bits=16)
    with pytest.raises(UsageError, match=r"expected weight_bits or weight_dtype \(got 8 and 'float16'\)"):
        save(tmp_path / "net.pt", folded, weight_bits=8, weight_dtype="float16")
    with pytest.raises(UsageError, match=r"unknown weight_dtype 'float17': did you mean 'float16'\?"):
        save(tmp_path / "net.pt", folded, weight_dtype="float17")
    with torch.no_grad():
        folded.head.weight[0, 0] = 70000
    with pytest.raises(UsageError, match=r"head\.weight reaches 70000, more than float16 can hold"):
        save(tmp_path / "net.pt", folded, weight_dtype="float16")
    assert list(tmp_path.iterdir()) == []


def test_packing_by_hand() -> None:
    """Rows of different range need a k each; a shared one does where it fits; vectors stay."""
    state = {
        "rows": torch.tensor([[127.0, -1.0], [0.5, 2.0**-7], [0.0, 0.0]]),
        "shared": torch.tensor([[3.0, -0.25], [1.5, 0.0]]),
        "bias": torch.tensor([0.1]),
        "count": torch.tensor(3),
    }
    packed, exponents = pack(state, 8)
    assert exponents == {"rows": [0, 7, 0], "shared": [5]}
    assert packed["rows"].dtype == packed["shared"].dtype == torch.int8
    assert packed["rows"].tolist() == [[127, -1], [64, 1], [0, 0]]
    assert packed["shared"].tolist() == [[96, -8], [48, 0]]
    assert packed["bias"] is state["bias"]
    whole = unpack(packed, exponents)
    assert all(torch.equal(whole[name], value) and whole[name].dtype == value.dtype for name, value in state.items())


@pytest.mark.parametrize("k", [-100, -3, 0, 14, 126])
def test_every_integer_comes_back(k: int) -> None:
    weight = (torch.arange(-127, 128).double() * math.ldexp(1.0, -k)).float()[None]
    packed, exponents = pack({"w": weight}, 8)
    assert exponents == {"w": [k]}
    assert packed["w"].tolist() == [list(range(-127, 128))]
    assert torch.equal(unpack(packed, exponents)["w"], weight)


def lowest(packed: dict[str, Any], state: dict[str, Tensor]) -> None:
    state["head.weight"][0, 0] = -128


BAD_PACKING: dict[str, tuple[Any, str]] = {
    "a list": (lambda p, s: [1], "packed must be a dict of names to exponents (got a list)"),
    "no such weight": (lambda p, s: {**p, "nope": [1]}, "packed must name int8 weights of the state dict (got 'nope')"),
    "not packed": (lambda p, s: {**p, "head.bias": [1]}, "(got 'head.bias')"),
    "a number": (
        lambda p, s: {**p, "head.weight": 3},
        "packed of 'head.weight' must be a list of one exponent, or of 3",
    ),
    "too few": (lambda p, s: {**p, "head.weight": [3, 3]}, "packed of 'head.weight' must be a list of one exponent"),
    "text": (lambda p, s: {**p, "head.weight": ["3"]}, "packed of 'head.weight' must hold integers from -100 to 126"),
    "true": (lambda p, s: {**p, "head.weight": [True]}, "must hold integers from -100 to 126"),
    "huge": (lambda p, s: {**p, "head.weight": [10**30]}, "must hold integers from -100 to 126"),
    "one left out": (
        lambda p, s: {name: ks for name, ks in p.items() if name != "head.weight"},
        "head.weight has the wrong type: expected torch.float32 (got torch.int8)",
    ),
    "-128": (
        lambda p, s: lowest(p, s) or p,
        "packed of 'head.weight' must belong to integers of at most 127 (got -128)",
    ),
}


@pytest.mark.parametrize("name", BAD_PACKING)
def test_bad_packing(tmp_path: Path, name: str) -> None:
    change, message = BAD_PACKING[name]
    path = save(tmp_path / "net.pt", snap(fold(network())), weight_bits=8)
    content = torch.load(path, weights_only=True)
    content["packed"] = change(content["packed"], content["state"])
    torch.save(content, path)
    assert message in refusal(path)


def test_a_reader_of_version_1_does_not_take_integers_for_weights(tmp_path: Path) -> None:
    path = save(tmp_path / "net.pt", snap(fold(network())), weight_bits=8)
    content = torch.load(path, weights_only=True)
    content["format_version"] = 1
    torch.save(content, path)
    assert "has the wrong type" in refusal(path)


@on_both
def test_random_damage_is_refused_or_harmless(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"net{suffix}", snap(fold(network())), weight_bits=8)
    content, rng = path.read_bytes(), random.Random(0)
    sound = load_checkpoint(path).model.state_dict()
    header = int.from_bytes(content[:8], "little") + 8 if suffix == ".safetensors" else len(content)
    for _ in range(60):
        damaged = bytearray(content[: rng.randrange(len(content))] if rng.random() < 0.3 else content)
        for _ in range(rng.randrange(1, 4)):
            # A safetensors file carries no checksums: a changed weight is a weight, so damage is put in its header.
            damaged[rng.randrange(min(header, len(damaged)))] = rng.randrange(256) if damaged else 0
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(CheckpointError):
            state = load_checkpoint(path).model.state_dict()
            assert suffix == ".safetensors" or all(torch.equal(value, sound[name]) for name, value in state.items())
