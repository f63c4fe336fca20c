"""Events to frames, one event at a time, and the user's own recordings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from snn_energy.errors import DataError, UsageError
from snn_energy.inputs import Events, Framing, load_inputs, to_frames

SHAPE = (2, 3, 4)
events_of_camera = st.lists(
    st.tuples(st.integers(-50, 5000), st.integers(0, 3), st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=30
)


def made(events):
    t, x, y, p = (np.array(column) for column in zip(*events, strict=True))
    return Events(t=t, address=(p, y, x))


def brute_frames(events, steps, width):
    """Each event into its bin by comparing it with the bounds of every bin."""
    frames = torch.zeros(steps, *SHAPE)
    start = min(t for t, *_ in events)
    for t, x, y, p in events:
        for k in range(steps):
            if start + k * width <= t < start + (k + 1) * width:
                frames[k, p, y, x] += 1
    return frames


@given(events_of_camera, st.integers(1, 9))
def test_equal_shares_of_the_duration(events, steps):
    times = [t for t, *_ in events]
    width = (max(times) - min(times)) // steps
    assume(width > 0)
    assert torch.equal(to_frames(made(events), SHAPE, Framing(steps=steps), "x"), brute_frames(events, steps, width))


@given(events_of_camera, st.integers(1, 9), st.integers(1, 3000))
def test_bins_of_a_fixed_width(events, steps, width):
    framing = Framing(steps=steps, bin_ms=width / 1000)
    assert torch.equal(to_frames(made(events), SHAPE, framing, "x"), brute_frames(events, steps, width))


def test_a_line_sensor_and_silence():
    line = Events(t=np.array([0, 10, 20, 29]), address=(np.array([4, 0, 4, 1]),))
    assert to_frames(line, (5,), Framing(steps=2, bin_ms=0.02), "x").tolist() == [[1, 0, 0, 0, 1], [0, 1, 0, 0, 1]]
    nothing = Events(t=np.array([], dtype=np.int64), address=(np.array([], dtype=np.int64),))
    assert to_frames(nothing, (5,), Framing(steps=2), "x").tolist() == [[0] * 5] * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": [0, 4]}, r"^file: expected x from 0 to 3 \(got 0 to 4\); is the sensor's size right\? .*2x3x4"),
        ({"y": [-1, 0]}, r"^file: expected y from 0 to 2 \(got -1 to 0\)"),
        ({"p": [1, 1, 1]}, r"^file: expected 3 address arrays as long as t, 2 \(got lengths \[3, 2, 2\]\)"),
        ({"t": [5, 7]}, r"^file: a recording of 2 microseconds makes no 3 frames; ask for fewer"),
    ],
)
def test_what_cannot_be_framed(change, message):
    arrays = {"t": [0, 9], "x": [0, 1], "y": [0, 1], "p": [0, 1], **change}
    t, x, y, p = (np.array(arrays[name]) for name in "txyp")
    with pytest.raises(DataError, match=message):
        to_frames(Events(t=t, address=(p, y, x)), SHAPE, Framing(steps=3), "file")


def test_framings_that_make_no_sense():
    with pytest.raises(UsageError, match="--frames must be >= 1"):
        Framing(steps=0)
    with pytest.raises(UsageError, match="--bin-ms must be at least"):
        Framing(steps=1, bin_ms=0)


# -- recordings of the user's own ------------------------------------------------------------------------------------

ONE = {"t": [0, 100, 250, 399], "x": [0, 1, 2, 3], "y": [0, 1, 2, 0], "p": [True, False, True, True]}
OTHER = {"t": [7, 407], "x": [0, 0], "y": [0, 0], "p": [False, False]}


def save(path, arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: np.array(values) for name, values in arrays.items()})


def frames_of(path, layout="TN", **options):
    found = load_inputs(path, layout=layout, framing=Framing(steps=2), shape=SHAPE, **options)
    return found, [
        (x.nonzero().tolist(), None if labels is None else labels.tolist()) for x, labels in found.batches(2)
    ]


def test_one_recording(tmp_path):
    save(tmp_path / "a.npz", ONE)
    found, batches = frames_of(tmp_path / "a.npz")
    # axes t n p y x; bins of 399 // 2 = 199 us: 0, 100 | 250, and 399 is behind the last bin
    assert batches == [([[0, 0, 0, 1, 1], [0, 0, 1, 0, 0], [1, 0, 1, 2, 2]], None)]
    assert (len(found), found.labels) == (1, None)
    assert frames_of(tmp_path / "a.npz", "NT")[1][0][0] == [[0, 0, 0, 1, 1], [0, 0, 1, 0, 0], [0, 1, 1, 2, 2]]


def test_class_folders(tmp_path):
    save(tmp_path / "b" / "1.npz", ONE)
    save(tmp_path / "a" / "1.npz", OTHER)
    save(tmp_path / "a" / "0.npz", ONE)
    found, batches = frames_of(tmp_path)
    assert found.labels.tolist() == [0, 0, 1]
    assert [labels for _, labels in batches] == [[0, 0], [1]]
    assert batches[0][0] == [[0, 0, 0, 1, 1], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0], [1, 0, 1, 2, 2]]
    assert frames_of(tmp_path, classes=("b", "c", "a"))[0].labels.tolist() == [2, 2, 0]
    with pytest.raises(DataError, match="unknown class folder 'b'"):
        frames_of(tmp_path, classes=("a", "c"))
    assert [x.tolist() for x, _ in found.part(1, 3).batches(1)] == [x.tolist() for x, _ in found.batches(1)][1:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": None}, r"expected the size of the sensor \(got none\); give --image-size PxHxW"),
        ({"layout": "N"}, r"event data have time steps: expected --layout TN .* or NT"),
        ({"framing": None}, r"holds events: expected --frames T"),
    ],
)
def test_options_that_events_need(tmp_path, options, message):
    save(tmp_path / "a.npz", ONE)
    with pytest.raises(UsageError, match=message):
        load_inputs(tmp_path / "a.npz", **{"layout": "TN", "framing": Framing(steps=2), "shape": SHAPE, **options})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": None}, r"a.npz: expected integer arrays t, p, y, x of one axis.*\(got none for p\)"),
        ({"x": [0.5, 1, 2, 3]}, r"\(got float64 \[4\] for x\); t is in microseconds"),
        ({"t": [[0, 1, 2, 3]]}, r"\(got int64 \[1, 4\] for t\)"),
    ],
)
def test_recordings_that_cannot_be_read(tmp_path, change, message):
    save(tmp_path / "a.npz", {k: v for k, v in {**ONE, **change}.items() if v is not None})
    with pytest.raises(DataError, match=message):
        frames_of(tmp_path / "a.npz")


def test_a_damaged_recording(tmp_path):
    save(tmp_path / "a.npz", ONE)
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[:40] + bytes(40) + content[80:])
    with pytest.raises(DataError, match=r"damaged or foreign \.npz file"):
        frames_of(tmp_path / "a.npz")


def test_an_image_archive_with_x_and_y_is_no_recording(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 1, 3, 4), np.uint8), y=np.array([0, 1]))
    assert load_inputs(tmp_path / "a.npz").labels.tolist() == [0, 1]
    with pytest.raises(UsageError, match="--frames and --bin-ms are for event data"):
        load_inputs(tmp_path / "a.npz", framing=Framing(steps=2))
