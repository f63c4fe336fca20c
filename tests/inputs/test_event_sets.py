"""Named event data sets, read from tiny files in each set's own format; tonic and h5py are needed where marked."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest
import torch
from event_files import write_aedat4, write_atis, write_gesture, write_shd
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.errors import DataError, UsageError
from snn_energy.inputs import Framing, load_inputs

# Name -> writer, file in the data folder given class and number, sensor's size, milliseconds only.
SETS = {
    "nmnist": (write_atis, "NMNIST/Test/{0}/{1:05d}.bin", 34, 1),
    "cifar10-dvs": (write_aedat4, "CIFAR10DVS/{0}/cifar10_{0}_{1}.aedat4", 128, 1),
    "dvs-gesture": (write_gesture, "DVSGesture/ibmGestureTest/user{1:02d}_led/{0}.npy", 128, 1000),
}
CLASSES = {"nmnist": ("3", "0"), "cifar10-dvs": ("automobile", "airplane"), "dvs-gesture": ("10", "2")}
NUMBERS = {"nmnist": (3, 0), "cifar10-dvs": (1, 0), "dvs-gesture": (10, 2)}


def random_events(size, unit, seed):
    """Events (t, x, y, p) in order of time, some at the same time."""
    random = np.random.default_rng(seed)
    times = np.sort(random.integers(0, 300, 60)) * unit
    return [(int(t), *(int(v) for v in random.integers(0, size, 2)), int(random.integers(0, 2))) for t in times]


def frames_by_hand(events, size, steps, width):
    start = events[0][0]
    frames = torch.zeros(steps, 2, size, size)
    for t, x, y, p in events:
        for k in range(steps):
            if start + k * width <= t < start + (k + 1) * width:
                frames[k, p, y, x] += 1
    return frames


@pytest.fixture
def folder(tmp_path):
    """Two recordings of two classes in each set; their numbers run against the order of the classes."""
    for name, (write, place, size, unit) in SETS.items():
        for number, label in enumerate(CLASSES[name]):
            write(tmp_path / place.format(label, number + 1), random_events(size, unit, number))
    return tmp_path


@pytest.mark.peer
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("layout", ["TN", "NT"])
def test_cameras(folder, name, layout):
    pytest.importorskip("tonic")
    _, _, size, unit = SETS[name]
    found = load_inputs(name, data_dir=folder, layout=layout, framing=Framing(steps=4))
    assert found.labels.tolist() == list(NUMBERS[name])  # by number, not by class
    for one, (x, labels) in enumerate(found.batches(1)):
        events = random_events(size, unit, one)
        width = (events[-1][0] - events[0][0]) // 4
        assert torch.equal(x.squeeze(layout.index("N")), frames_by_hand(events, size, 4, width))
        assert labels.tolist() == [NUMBERS[name][one]]
    both, _ = next(iter(found.batches(2)))
    assert torch.equal(both, torch.cat([x for x, _ in found.batches(1)], layout.index("N")))
    inner = SETS[name][1].split("/")[0]
    same = load_inputs(name, data_dir=folder / inner, layout=layout, framing=Framing(steps=4))
    assert torch.equal(next(iter(same.batches(2)))[0], both)


@pytest.mark.peer
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("steps", [1, 4, 7])
def test_frames_are_those_of_tonic(folder, name, steps):
    """ToFrame, given what tonic's own data set returns."""
    tonic = pytest.importorskip("tonic")
    _, _, size, unit = SETS[name]
    by_share = tonic.transforms.ToFrame(sensor_size=(size, size, 2), n_time_bins=steps)
    kind = np.dtype([("t", np.int64), ("x", np.int64), ("y", np.int64), ("p", np.int64)])
    for framing in (Framing(steps=steps), Framing(steps=steps, bin_ms=0.02 * unit)):
        found = load_inputs(name, data_dir=folder, layout="TN", framing=framing)
        for one, (x, _) in enumerate(found.batches(1)):
            events = np.array(random_events(size, unit, one), dtype=kind)
            width, start = 20 * unit, events["t"][0]
            by_time = tonic.transforms.ToFrame(
                sensor_size=(size, size, 2), time_window=width, start_time=start, end_time=start + steps * width
            )
            expected = (by_share if framing.bin_ms is None else by_time)(events)
            assert np.array_equal(x[:, 0].numpy(), expected)


@pytest.mark.peer
def test_time_stamps_beyond_the_counter_of_nmnist(tmp_path):
    """A row y = 240 marks an overflow of the time counter, here of 2^13 microseconds; it is no event."""
    pytest.importorskip("tonic")
    write_atis(tmp_path / "Test" / "5" / "00001.bin", [(10, 1, 2, 1), (0, 0, 240, 0), (10, 3, 4, 0)])
    found = load_inputs("nmnist", data_dir=tmp_path, layout="TN", framing=Framing(steps=3, bin_ms=8.192))
    ((x, _),) = found.batches(1)
    assert x.nonzero().tolist() == [[0, 0, 1, 2, 1], [1, 0, 0, 4, 3]]


@pytest.mark.peer
@pytest.mark.parametrize("layout", ["TN", "NT"])
def test_shd(tmp_path, layout):
    pytest.importorskip("h5py")
    # times that half precision holds exactly
    recordings = [[(0.0, 3), (0.25, 699), (0.25, 0), (0.5, 1)], [(0.125, 5), (0.625, 5), (1.125, 6)]]
    write_shd(tmp_path / "shd_test.h5", recordings, [19, 4])
    found = load_inputs("shd", data_dir=tmp_path, layout=layout, framing=Framing(steps=2))
    ((x, labels),) = found.batches(2)
    # 250,000 us: the event at 0.5 s ends the recording, behind the last bin; 500,000 us likewise.
    expected = {(0, 0, 3), (1, 0, 699), (1, 0, 0), (0, 1, 5), (1, 1, 5)}
    order = (0, 1, 2) if layout == "TN" else (1, 0, 2)
    assert {tuple(place) for place in x.permute(order).nonzero().tolist()} == expected
    assert (x.sum(), labels.tolist()) == (5, [19, 4])
    assert x.shape == ((2, 2, 700))
    wide = load_inputs("shd", data_dir=tmp_path, layout="TN", framing=Framing(steps=3, bin_ms=400))
    assert {tuple(p) for p in next(iter(wide.batches(2)))[0].nonzero().tolist()} == {
        (0, 0, 3), (0, 0, 699), (0, 0, 0), (1, 0, 1), (0, 1, 5), (1, 1, 5), (2, 1, 6)
    }  # fmt: skip


@pytest.mark.peer
def test_shd_is_what_tonic_reads(tmp_path):
    tonic = pytest.importorskip("tonic")
    random = np.random.default_rng(5)
    recordings = [
        sorted((float(t), int(u)) for t, u in zip(random.random(50), random.integers(0, 700, 50), strict=True))
        for _ in range(3)
    ]
    write_shd(tmp_path / "SHD" / "shd_test.h5", recordings, [0, 1, 2])
    (tmp_path / "SHD" / "shd_test.h5.zip").touch()  # tonic asks for the archive as well
    theirs = tonic.datasets.SHD(
        str(tmp_path), train=False, transform=tonic.transforms.ToFrame(sensor_size=(700, 1, 1), n_time_bins=10)
    )
    ours = load_inputs("shd", data_dir=tmp_path, layout="NT", framing=Framing(steps=10))
    ((x, labels),) = ours.batches(3)
    for one in range(3):
        # tonic gives every event the polarity 1, of a sensor with a single one: its ToFrame sets that to 0
        frames, label = theirs[one]
        assert np.array_equal(x[one].numpy(), frames[:, 0])
        assert labels[one] == label


@pytest.mark.peer
def test_the_command_line(folder, monkeypatch):
    pytest.importorskip("tonic")
    (folder / "gesture_net.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Flatten(2), nn.Linear(2 * 128 * 128, 11))\n"
    )
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    words = ["--model", "gesture_net:build", "--data", "dvs-gesture", "--data-dir", ".", "--layout", "TN"]
    result = CliRunner().invoke(app, ["profile", *words, "--frames", "4", "--no-baseline", "--json"])
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert value["dataset"] == "dvs-gesture, test split, all 2 samples, 4 frames"
    nonzero = sum(
        int((frames_by_hand(events, 128, 4, (events[-1][0] - events[0][0]) // 4) != 0).sum())
        for events in (random_events(128, 1000, seed) for seed in range(2))
    )
    assert value["rows"][0]["events"] == 11 * nonzero
    assert value["rows"][0]["operand"] in ("binary", "integer")


@pytest.mark.peer
def test_damaged_files(folder, tmp_path):
    pytest.importorskip("tonic")
    gesture = next(folder.glob("DVSGesture/*/*/10.npy"))
    gesture.write_bytes(gesture.read_bytes()[:90])
    aedat = next(folder.glob("CIFAR10DVS/automobile/*"))
    aedat.write_bytes(b"#!AER-DAT4.0\r\n" + bytes(9))
    for name, file in (("dvs-gesture", gesture), ("cifar10-dvs", aedat)):
        found = load_inputs(name, data_dir=folder, layout="TN", framing=Framing(steps=2))
        with pytest.raises(
            DataError, match=rf"^{re.escape(str(file))}: cannot read this recording .*; unpack it again"
        ):
            list(found.batches(1))
    (tmp_path / "shd_test.h5").write_bytes(b"no HDF5")
    with pytest.raises(DataError, match=r"shd_test\.h5: expected an HDF5 file with spikes/times"):
        load_inputs("shd", data_dir=tmp_path, layout="TN", framing=Framing(steps=2))


# -- without tonic -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wanted", "address"),
    [
        ("nmnist", r"Test/\*/\*\.bin", "https://www.garrickorchard.com/datasets/n-mnist"),
        ("cifar10-dvs", r"\*/\*\.aedat4", "https://figshare.com/ndownloader/files/38023437"),
        ("dvs-gesture", r"ibmGestureTest/\*/\*\.npy", "https://figshare.com/ndownloader/files/38020584"),
        ("shd", r"shd_test\.h5", "https://zenkelab.org/datasets/"),
    ],
)
def test_missing_files_are_named_with_where_to_get_them(tmp_path, monkeypatch, name, wanted, address):
    for data_dir, where in ((tmp_path, tmp_path), (None, "no folder: give --data-dir, or set SNN_ENERGY_DATA")):
        monkeypatch.delenv("SNN_ENERGY_DATA", raising=False)
        with pytest.raises(DataError) as caught:
            load_inputs(name, data_dir=data_dir, layout="TN", framing=Framing(steps=2))
        message = str(caught.value)
        assert re.match(rf"{name}: expected {wanted} in the data folder \(got nothing there: ", message)
        assert str(where) in message
        assert address in message
        assert "\n" not in message


@pytest.mark.parametrize(("name", "package"), [("nmnist", "tonic"), ("dvs-gesture", "tonic"), ("shd", "h5py")])
def test_a_reader_that_is_not_installed(tmp_path, monkeypatch, name, package):
    write_atis(tmp_path / "NMNIST" / "Test" / "3" / "00001.bin", [(0, 1, 2, 1)])
    write_gesture(tmp_path / "DVSGesture" / "ibmGestureTest" / "user01_led" / "3.npy", [(0, 1, 2, 1)])
    (tmp_path / "shd_test.h5").write_bytes(b"...")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"{package}.*; run: pip install 'snn-energy\[events\]'"):
        load_inputs(name, data_dir=tmp_path, layout="TN", framing=Framing(steps=2))


def test_the_folder_of_the_environment(tmp_path, monkeypatch):
    write_atis(tmp_path / "nmnist" / "Test" / "3" / "00001.bin", [(0, 1, 2, 1)])
    monkeypatch.setenv("SNN_ENERGY_DATA", str(tmp_path))
    monkeypatch.setitem(sys.modules, "tonic", None)  # which is asked for once the files are found
    with pytest.raises(UsageError, match="read by the package tonic"):
        load_inputs("nmnist", layout="TN", framing=Framing(steps=2))
    with pytest.raises(DataError, match=r"expected Train/\*/\*\.bin"):
        load_inputs("nmnist", "train", layout="TN", framing=Framing(steps=2))


def test_options_of_named_sets(tmp_path):
    with pytest.raises(UsageError, match="holds events: expected --frames T"):
        load_inputs("shd", data_dir=tmp_path, layout="TN")
    with pytest.raises(UsageError, match="unknown split 'valid'"):
        load_inputs("shd", "valid", data_dir=tmp_path, layout="TN", framing=Framing(steps=2))
    with pytest.raises(UsageError, match="did you mean 'nmnist'"):
        load_inputs("nmist", layout="TN", framing=Framing(steps=2))
