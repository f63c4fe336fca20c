"""The named data sets: what is in them, where they are found, and what is said when they are not."""

import gzip
import shutil

import numpy as np
import pytest
import torch

from snn_energy.errors import DataError, UsageError
from snn_energy.training import ImageSet, load_images
from snn_energy.training import named as named_sets


def test_digits_are_scikit_learns():
    bunch = pytest.importorskip("sklearn.datasets").load_digits()
    train, test = load_images("digits", "train"), load_images("digits")
    assert (len(train), len(test)) == (1437, 360)
    pixels = torch.cat([train.images, test.images])
    assert pixels.dtype == torch.uint8
    assert np.array_equal(pixels.squeeze(1).numpy(), bunch.images * 15)
    assert np.array_equal(torch.cat([train.labels, test.labels]).numpy(), bunch.target)
    assert test.classes == tuple("0123456789")
    assert (test.name, test.split, test.source) == ("digits", "test", "digits (test split)")


def test_fashion_test_split_is_whole_and_known():
    images = load_images("fashion-mnist")
    assert images.images.shape == (10000, 1, 28, 28)
    assert images.images.dtype == torch.uint8
    assert images.labels.bincount().tolist() == [1000] * 10
    # The first labels of the official file: ankle boot, pullover, trouser, trouser, shirt.
    assert images.labels[:5].tolist() == [9, 2, 1, 1, 6]
    assert images.classes[9] == "ankle boot"
    assert len(load_images("fashion-mnist", limit=7)) == 7


def test_missing_training_files_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr(named_sets, "DEBIAN_FOLDER", tmp_path / "debian")
    monkeypatch.delenv("SNN_ENERGY_DATA", raising=False)
    with pytest.raises(DataError) as caught:
        load_images("fashion-mnist", "train")
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "train-images-idx3-ubyte.gz (SHA-256 b0564c3e",
        "train-labels-idx1-ubyte.gz (SHA-256 0ae29f65",
        "apt-get download dataset-fashion-mnist && dpkg -x",
        "SNN_ENERGY_DATA",
        str(tmp_path / "debian"),
    ):
        assert part in message
    with pytest.raises(DataError, match="got none of them"):
        load_images("fashion-mnist", "train", data_dir=tmp_path)


@pytest.mark.parametrize("place", ["argument", "argument parent", "variable", "debian"])
def test_files_are_found_in_each_place(tmp_path, monkeypatch, place):
    # The test files under the training files' names, with their own digests: only the search is under test.
    content = named_sets.EMBEDDED / "fashion-mnist"
    names = {"train-images-idx3-ubyte.gz": "t10k-images-idx3-ubyte.gz"}
    names["train-labels-idx1-ubyte.gz"] = "t10k-labels-idx1-ubyte.gz"
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for new, old in names.items():
        shutil.copy(content / old, folder / new)
    digests = {new: named_sets.FASHION_FILES["test"][old] for new, old in names.items()}
    monkeypatch.setitem(named_sets.FASHION_FILES, "train", digests)
    monkeypatch.setattr(named_sets, "DEBIAN_FOLDER", folder if place == "debian" else tmp_path / "no")
    monkeypatch.setenv("SNN_ENERGY_DATA", str(tmp_path) if place == "variable" else "")
    data_dir = {"argument": folder, "argument parent": tmp_path}.get(place)
    images = load_images("fashion-mnist", "train", data_dir=data_dir)
    assert (len(images), images.split) == (10000, "train")


def test_damaged_file_is_refused(tmp_path):
    for name in named_sets.FASHION_FILES["test"]:
        shutil.copy(named_sets.EMBEDDED / "fashion-mnist" / name, tmp_path / name)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8)))
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte.gz: expected SHA-256 8d3605.* \(got .*copy it again"):
        load_images("fashion-mnist", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_images("fashon-mnist"), "no such file or folder, and .* did you mean 'fashion-mnist'"),
        (lambda: load_images("digits", "valid"), "unknown split 'valid': expected one of test, train"),
        (lambda: load_images("digits", limit=0), r"expected between 1 and 360 samples \(got 0\)"),
        (lambda: load_images("digits", limit=361), r"expected between 1 and 360 samples \(got 361\)"),
        (lambda: load_images("digits", layout="TN"), "still images have no time axis"),
    ],
)
def test_wrong_requests(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.parametrize(("layout", "axis"), [("N", 0), ("TN", 1), ("NT", 0)])
def test_batches_cut_along_the_samples(layout, axis):
    images = torch.arange(5 * 5 * 2.0).reshape(5, 5, 2)
    data = ImageSet(
        images=images, labels=torch.arange(5), classes=(), name="x", split="test", source="x", layout=layout
    )
    batches = list(data.batches(2))
    assert [b.shape[axis] for b, _ in batches] == [2, 2, 1]
    assert torch.equal(torch.cat([b for b, _ in batches], axis), images)
    assert [y.tolist() for _, y in batches] == [[0, 1], [2, 3], [4]]
    assert data.time_steps == (None if layout == "N" else 5)
    assert torch.equal(data.head(3).images, images.narrow(axis, 0, 3))
