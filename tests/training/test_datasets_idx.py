"""MNIST and Fashion-MNIST: where their files are found, and what is said when they are missing or damaged."""

import gzip
import hashlib
import shutil
import struct
from dataclasses import replace

import numpy as np
import pytest

from snn_energy.errors import DataError
from snn_energy.training import load_images
from snn_energy.training.datasets import idx
from snn_energy.training.datasets.places import EMBEDDED


@pytest.fixture(autouse=True)
def _no_data_of_the_user(monkeypatch):
    monkeypatch.delenv("SNN_ENERGY_DATA", raising=False)
    for name, source in idx.SOURCES.items():
        monkeypatch.setitem(idx.SOURCES, name, replace(source, system_folders=()))


def array_file(array):
    """The IDX format: two zero bytes, 8 for unsigned bytes, the number of axes, big-endian sizes, the data."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def made(name, split, monkeypatch):
    """Content of a small data set by file name, whose checksums are put into the table."""
    rng = np.random.default_rng(3)
    images, labels = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8), rng.integers(0, 10, 5, dtype=np.uint8)
    contents = dict(zip(idx.SOURCES[name].files[split], (array_file(images), array_file(labels)), strict=True))
    digests = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
    monkeypatch.setitem(idx.SOURCES[name].files, split, digests)
    return images, labels, contents


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_packed_or_not(name, split, packed, tmp_path, monkeypatch):
    images, labels, contents = made(name, split, monkeypatch)
    for file, content in contents.items():
        path = tmp_path / (f"{file}.gz" if packed else file)
        path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    loaded = load_images(name, split, data_dir=tmp_path)
    assert np.array_equal(loaded.images.squeeze(1).numpy(), images)
    assert loaded.labels.tolist() == labels.tolist()
    assert len(loaded.classes) == 10
    assert (loaded.name, loaded.split, loaded.source) == (name, split, f"{name} ({split} split)")


@pytest.mark.parametrize(
    ("place", "folder"),
    [
        ("argument", "."),
        ("argument", "mnist"),
        ("argument", "MNIST/raw"),
        ("variable", "mnist"),
        ("variable", "MNIST/raw"),
        ("system", "."),
    ],
)
def test_places(place, folder, tmp_path, monkeypatch):
    images, _, contents = made("mnist", "train", monkeypatch)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        (tmp_path / folder / file).write_bytes(content)
    if place == "variable":
        monkeypatch.setenv("SNN_ENERGY_DATA", str(tmp_path))
    elif place == "system":
        monkeypatch.setitem(idx.SOURCES, "mnist", replace(idx.SOURCES["mnist"], system_folders=(tmp_path,)))
    loaded = load_images("mnist", "train", data_dir=tmp_path if place == "argument" else None)
    assert np.array_equal(loaded.images.squeeze(1).numpy(), images)


def test_what_comes_with_the_package_is_used_whatever_else_is_there(tmp_path, monkeypatch):
    (tmp_path / "fashion-mnist").mkdir()
    (tmp_path / "fashion-mnist" / "t10k-images-idx3-ubyte").write_bytes(b"damaged")
    (tmp_path / "fashion-mnist" / "t10k-labels-idx1-ubyte").write_bytes(b"damaged")
    monkeypatch.setenv("SNN_ENERGY_DATA", str(tmp_path))
    assert len(load_images("fashion-mnist")) == 10000
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte: expected SHA-256"):
        load_images("fashion-mnist", data_dir=tmp_path)
    # A folder with the training files alone is enough to train and to test.
    assert len(load_images("fashion-mnist", data_dir=tmp_path / "other")) == 10000


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_missing_files_say_how_to_get_them(name, tmp_path):
    with pytest.raises(DataError) as caught:
        load_images(name, "train", data_dir=tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    source = idx.SOURCES[name]
    for file, digest in source.files["train"].items():
        assert f"{file}.gz (unpacked SHA-256 {digest})" in message
    for part in ("got none of them", "https://", "--data-dir", "SNN_ENERGY_DATA", str(tmp_path / name)):
        assert part in message
    assert ("apt-get download dataset-fashion-mnist && dpkg -x" in message) == (name == "fashion-mnist")


def test_damaged_files_are_refused(tmp_path):
    for file in (EMBEDDED / "fashion-mnist").glob("*.gz"):
        shutil.copy(file, tmp_path / file.name)
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    for content, words in (
        (gzip.compress(bytes(8)), "expected SHA-256 0402a96d"),
        (b"no gzip", r"expected a gzip file \(got Not a gzipped file"),
        (labels.read_bytes()[:-100], r"expected a gzip file \(got"),
    ):
        labels.write_bytes(content)
        with pytest.raises(DataError, match=f"t10k-labels-idx1-ubyte.gz: {words}.*copy"):
            load_images("fashion-mnist", data_dir=tmp_path)
