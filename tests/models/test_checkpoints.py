"""Checkpoints: what is written is read back, and every unsound file is one line that says what to do."""

import contextlib
import io
import json
import os
import pickle
import random
import re
import warnings
import zipfile

import pytest
import torch
from torch import nn

from snn_energy.errors import CheckpointError, UsageError
from snn_energy.models import (
    SpikingCNN,
    fold,
    load_checkpoint,
    load_state_dict_file,
    pretrained,
    pretrained_names,
    save_checkpoint,
    snap,
)
from snn_energy.models.inputs import InputSpec, unit_pixels

CLASSES = ("a", "b", "c")
RECORD = {"recipe": {"epochs": 2}, "seed": 0, "accuracy": 0.5}


def make_model():
    torch.manual_seed(0)
    return SpikingCNN(1, 3, 8, widths=(4, 5), time_steps=3).eval()


def save(path, model=None):
    return save_checkpoint(
        path,
        model or make_model(),
        input=unit_pixels(1, 8, 8),
        classes=CLASSES,
        dataset="toy",
        training=RECORD,
    )


def payload():
    """The dict of a sound .pt checkpoint, to be damaged by the tests."""
    buffer = io.BytesIO()
    model = make_model()
    args = model.constructor_args()
    content = {
        "format": "snn-energy-checkpoint",
        "format_version": 1,
        "model": "spiking-cnn",
        "time_steps": args.pop("time_steps"),
        "model_args": args,
        "input": {"shape": [1, 8, 8], "scale": 1 / 256, "mean": [0.0], "std": [1.0]},
        "classes": list(CLASSES),
        "dataset": "toy",
        "training": RECORD,
        "state": dict(model.state_dict()),
    }
    torch.save(content, buffer)
    return content


def refusal(load, path):
    with pytest.raises(CheckpointError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(str(path)), "the file is named first"
    assert "\n" not in message, "one line"
    return message.removeprefix(f"{path}: ").removeprefix(str(path))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("prepare", [lambda m: m, fold, lambda m: snap(fold(m))], ids=["plain", "folded", "snapped"])
def test_round_trip(tmp_path, suffix, prepare):
    model = prepare(make_model())
    path = save(tmp_path / f"net{suffix}", model)
    checkpoint = load_checkpoint(str(path))
    assert checkpoint.path == path
    assert checkpoint.model_name == "spiking-cnn"
    assert checkpoint.time_steps == checkpoint.model.time_steps == 3
    assert checkpoint.classes == CLASSES
    assert checkpoint.dataset == "toy"
    assert checkpoint.training == RECORD
    assert checkpoint.input == unit_pixels(1, 8, 8)
    assert checkpoint.format_version == 1
    assert "time_steps" not in checkpoint.model_args
    assert not checkpoint.model.training
    assert checkpoint.model.constructor_args() == model.constructor_args()
    state = checkpoint.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and not p.is_meta for p in checkpoint.model.parameters())
    x = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(checkpoint.model(x), model(x))
    again = save(tmp_path / f"other{suffix}", checkpoint.model)
    assert again.read_bytes() == path.read_bytes(), "equal content, equal bytes"
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"net{suffix}", f"other{suffix}"]
    plain = load_state_dict_file(path)
    assert set(plain) == set(state)


def test_the_written_dict_is_the_documented_one(tmp_path):
    content = torch.load(save(tmp_path / "net.pt"), weights_only=True)
    expected = payload()
    state, wanted = content.pop("state"), expected.pop("state")
    assert content == expected
    assert all(torch.equal(state[k], wanted[k]) for k in wanted)


def test_saving_refuses_what_it_could_not_read_back(tmp_path):
    with pytest.raises(UsageError, match=r"must end in \.pt or \.safetensors \(got '\.bin'\)"):
        save(tmp_path / "net.bin")
    with pytest.raises(UsageError, match="must be plain JSON values"):
        save_checkpoint(
            tmp_path / "net.pt",
            make_model(),
            input=unit_pixels(1, 8, 8),
            classes=CLASSES,
            dataset="toy",
            training={"loss": float("nan")},
        )
    assert list(tmp_path.iterdir()) == []


class Evil:
    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


def saved(value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def script():
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), buffer)
    return buffer.getvalue()


def foreign_zip():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "hello")
    return buffer.getvalue()


def flipped():
    content = bytearray(saved(payload()))
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
    content[largest.header_offset + 200] ^= 1
    return bytes(content)


CODE = "contains code, which was not run; save tensors and plain values only"
DAMAGED = "expected a file written by torch.save or safetensors"
PLAIN = "not a checkpoint of this package .* --model package.module:factory"
BAD_FILES = {
    "empty": (lambda _: b"", "expected a checkpoint \\(got an empty file\\)"),
    "text": (lambda _: b"just some text\n" * 9, DAMAGED),
    "zeros": (lambda _: bytes(500), DAMAGED),
    "gif": (lambda _: b"GIF89a" + bytes(99), DAMAGED),
    "numpy": (lambda _: b"\x93NUMPY\x01\x00v\x00" + bytes(99), DAMAGED),
    "foreign zip": (lambda _: foreign_zip(), DAMAGED),
    "truncated": (lambda _: saved(payload())[:-2000], DAMAGED),
    "cut to 3 bytes": (lambda _: saved(payload())[:3], DAMAGED),
    "flipped bit": (lambda _: flipped(), "fails its checksum; copy or create it again"),
    "pickle": (lambda _: pickle.dumps({"a": 1}), DAMAGED),
    "code": (lambda target: saved({"w": torch.ones(1), "x": Evil(target)}), CODE),
    "code, old format": (
        lambda target: saved(Evil(target), _use_new_zipfile_serialization=False),
        CODE,
    ),
    "code, bare pickle": (lambda target: pickle.dumps(Evil(target)), CODE),
    "module": (lambda _: saved(nn.Linear(2, 2)), CODE),
    "script": (lambda _: script(), CODE),
    "state dict": (lambda _: saved({"w": torch.ones(3)}), PLAIN),
    "list": (lambda _: saved([1, 2]), PLAIN),
    "tensor": (lambda _: saved(torch.ones(3)), PLAIN),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(tmp_path, name):
    content, message = BAD_FILES[name]
    path, target = tmp_path / "bad.pt", tmp_path / "code_was_run"
    path.write_bytes(content(target))
    assert re.search(message, refusal(load_checkpoint, path))
    if message is not PLAIN:
        refusal(load_state_dict_file, path)
    assert not target.exists()


def test_missing_file_and_directory(tmp_path):
    assert refusal(load_checkpoint, tmp_path / "no.pt") == "no such checkpoint; check the path"
    assert refusal(load_checkpoint, tmp_path) == "expected a checkpoint (got a directory); name the file itself"


def test_bad_safetensors(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"garbage garbage garbage")
    assert "expected a safetensors file" in refusal(load_checkpoint, path)
    whole = save(tmp_path / "net.safetensors").read_bytes()
    path.write_bytes(whole[:-10])
    assert "expected a safetensors file" in refusal(load_checkpoint, path)
    save_file({"w": torch.ones(2)}, path)
    assert "--model package.module:factory" in refusal(load_checkpoint, path)
    save_file({"w": torch.ones(2)}, path, {"snn-energy-checkpoint": "{"})
    assert "the header's record is not JSON" in refusal(load_checkpoint, path)
    save_file({"w": torch.ones(2)}, path, {"snn-energy-checkpoint": "[]"})
    assert "not a checkpoint of this package" in refusal(load_checkpoint, path)


def changed(key, value):
    def change(content):
        content[key] = value

    return change


def without(key):
    return lambda content: content.pop(key)


def set_weight(name, value):
    def change(content):
        content["state"][name] = value

    return change


def set_input(**fields):
    return lambda content: content["input"].update(fields)


def poison(content):
    content["state"]["blocks.1.conv.weight"][0, 0, 0, 0] = float("nan")
    content["state"]["blocks.1.conv.weight"][1, 0, 0, 0] = float("inf")


BAD_CONTENT = {
    "version": (changed("format_version", 3), "format_version must be 1 or 2 (got 3)"),
    "version text": (changed("format_version", "1"), "format_version must be 1 or 2 (got '1')"),
    "packed missing": (changed("format_version", 2), "packed must be a dict of names to exponents (got a NoneType)"),
    "integers": (
        set_weight("head.weight", torch.ones(3, 20, dtype=torch.int8)),
        "head.weight has the wrong type: expected torch.float32 (got torch.int8)",
    ),
    "version true": (changed("format_version", True), "format_version must be 1 or 2 (got True)"),
    "no version": (without("format_version"), "format_version must be 1 or 2 (got None)"),
    "mark": (changed("format", "other"), "not a checkpoint of this package"),
    "steps text": (changed("time_steps", "4"), "time_steps must be an integer >= 1 (got '4')"),
    "steps zero": (changed("time_steps", 0), "time_steps must be an integer >= 1 (got 0)"),
    "steps bool": (changed("time_steps", True), "time_steps must be an integer >= 1 (got True)"),
    "no steps": (without("time_steps"), "time_steps is missing: expected an integer >= 1"),
    "classes": (changed("classes", "abc"), "classes must be a list of class names (got 'abc')"),
    "class count": (changed("classes", ["a", "b"]), "classes must name the model's 3 logits (got 2 names)"),
    "classes numbers": (changed("classes", [1, 2, 3]), "classes must be a list of class names (got a list)"),
    "args": (changed("model_args", [1]), "model_args must be a dict of constructor arguments (got a list)"),
    "bad args": (changed("model_args", {"in_channels": 0}), "cannot build the model: "),
    "model": (changed("model", "spiking-cnm"), "did you mean 'spiking-cnn'?"),
    "training": (changed("training", None), "training must be a dict, the training record (got None)"),
    "dataset": (changed("dataset", ""), "dataset must be the name of a data set (got '')"),
    "state": (changed("state", {"w": 1}), "state must be a dict of tensors, the state dict (got a dict)"),
    "input": (changed("input", 3), "input must be a dict with shape, scale, mean and std (got 3)"),
    "input shape": (set_input(shape=[1, 8]), "input.shape must be three integers >= 1"),
    "input mean": (set_input(mean=[0.0, 0.0]), "input.mean must have one number per channel, 1 (got 2)"),
    "input std": (set_input(std=[0.0]), "input.scale and std must be > 0"),
    "input scale": (set_input(scale="1"), "input.scale must be made of numbers"),
    "input nan": (set_input(scale=float("nan")), "input.scale must be finite"),
    "input other": (set_input(mode="RGB"), "input.unknown field 'mode'"),
    "missing weight": (
        lambda content: content["state"].pop("head.bias"),
        "missing weights for model 'spiking-cnn': head.bias",
    ),
    "more weights": (
        set_weight("head.scale", torch.ones(1)),
        "unexpected weights for model 'spiking-cnn': head.scale",
    ),
    "wrong shape": (
        set_weight("head.weight", torch.ones(3, 7)),
        "head.weight has the wrong shape: expected [3, 20] for model 'spiking-cnn' (got [3, 7])",
    ),
    "nan": (poison, "blocks.1.conv.weight holds NaN or infinity in 2 of 180 values"),
    "huge": (
        lambda content: content["model_args"].update(widths=[10**9, 10**9]),
        "cannot build the model: ",
    ),
    "wide": (lambda content: content["model_args"].update(widths=[4, 50000]), "has the wrong shape"),
}


@pytest.mark.parametrize(
    ("name", "suffix"),
    # A safetensors file has tensors or is not one.
    [(name, ".pt") for name in BAD_CONTENT] + [(name, ".safetensors") for name in BAD_CONTENT if name != "state"],
)
def test_bad_content(tmp_path, name, suffix):
    change, message = BAD_CONTENT[name]
    content = payload()
    change(content)
    path = tmp_path / f"bad{suffix}"
    if suffix == ".pt":
        torch.save(content, path)
    else:
        from safetensors.torch import save_file

        state = content.pop("state")
        save_file(state, path, {"snn-energy-checkpoint": json.dumps(content)})
    assert message in refusal(load_checkpoint, path)


def test_random_damage_is_refused_or_harmless(tmp_path):
    path = save(tmp_path / "net.pt")
    content, rng = path.read_bytes(), random.Random(0)
    sound = load_checkpoint(path).model.state_dict()
    for _ in range(60):
        damaged = bytearray(content[: rng.randrange(len(content))] if rng.random() < 0.3 else content)
        for _ in range(rng.randrange(1, 4)):
            if damaged:
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(CheckpointError):
            state = load_checkpoint(path).model.state_dict()
            # Reached when the byte lay in the archive's padding.
            assert all(torch.equal(value, sound[name]) for name, value in state.items())


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
def test_plain_state_dicts(tmp_path, wrap):
    state = nn.Linear(2, 3).state_dict()
    torch.save(wrap(state), tmp_path / "plain.pth")
    read = load_state_dict_file(tmp_path / "plain.pth")
    assert all(torch.equal(read[name], state[name]) for name in state)
    assert not nn.Linear(2, 3).load_state_dict(read).missing_keys


def test_plain_safetensors(tmp_path):
    from safetensors.torch import save_file

    save_file({"w": torch.arange(3.0)}, tmp_path / "plain.safetensors")
    assert load_state_dict_file(tmp_path / "plain.safetensors")["w"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("content", [{}, {"w": 3}, {"model": {"w": [1]}}, [torch.ones(1)], torch.ones(1)])
def test_not_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "plain.pt")
    assert "expected a state dict, names to tensors" in refusal(load_state_dict_file, tmp_path / "plain.pt")


def test_nan_in_a_plain_state_dict(tmp_path):
    torch.save({"w": torch.tensor([1.0, float("nan")])}, tmp_path / "plain.pt")
    assert "w holds NaN or infinity in 1 of 2" in refusal(load_state_dict_file, tmp_path / "plain.pt")


def test_input_spec():
    pixels = torch.tensor([[[[0, 255]]], [[[128, 1]]]], dtype=torch.uint8)
    assert unit_pixels(1, 1, 2).apply(pixels).flatten().tolist() == [0, 255 / 256, 0.5, 1 / 256]
    spec = InputSpec(shape=(1, 1, 2), scale=0.5, mean=(1.0,), std=(4.0,))
    assert spec.apply(pixels).flatten().tolist() == [-0.25, 126.5 / 4, 63 / 4, -0.125]
    assert spec.apply(torch.tensor([[[[7.0, 8.0]]]])).flatten().tolist() == [7, 8], "floats are input already"
    assert InputSpec.from_plain(spec.to_plain()) == spec


def test_unknown_pretrained_model():
    with pytest.raises(UsageError, match="unknown pretrained model 'nope'"):
        pretrained("nope")
    for name in pretrained_names():
        assert pretrained(name).is_file()
