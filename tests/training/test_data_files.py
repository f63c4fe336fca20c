"""The user's own files: what is read, and one line for everything that cannot be."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from snn_energy.errors import DataError, UsageError
from snn_energy.training import load_images

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 5), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8)


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        load_images(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_flat_folder(tmp_path):
    for name in ("b.png", "a.bmp", "c.PGM"):
        Image.fromarray(GREY).save(tmp_path / name)
    (tmp_path / ".hidden.png").write_bytes(b"no image")
    (tmp_path / "notes.txt").write_text("no image")
    images = load_images(tmp_path)
    assert images.images.shape == (3, 1, 6, 5)
    assert images.labels is None
    assert np.array_equal(images.images[0, 0].numpy(), GREY)
    assert (images.name, images.source) == (tmp_path.name, str(tmp_path))


def test_class_folders_are_labels(tmp_path):
    for folder, count in (("dog", 2), ("cat", 1)):
        (tmp_path / folder).mkdir()
        for i in range(count):
            Image.fromarray(COLOUR).save(tmp_path / folder / f"{i}.png")
    images = load_images(tmp_path)
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [0, 1, 1]
    assert np.array_equal(images.images[2].permute(1, 2, 0).numpy(), COLOUR)
    known = load_images(tmp_path, classes=("dog", "bird", "cat"))
    assert known.labels.tolist() == [2, 0, 0]
    message = refusal(tmp_path, classes=("bird", "dogs"))
    assert message.startswith(f"{tmp_path / 'cat'}: unknown class folder 'cat'")


def test_channels_are_converted_to_what_the_model_wants(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(COLOUR).save(tmp_path / "b.png")
    assert load_images(tmp_path, shape=(1, 6, 5)).images.shape == (2, 1, 6, 5)
    rgb = load_images(tmp_path, shape=(3, 6, 5)).images
    assert rgb.shape == (2, 3, 6, 5)
    assert torch.equal(rgb[0, 0], rgb[0, 2])
    assert "expected a model input (1 or 3, H, W)" in refusal(tmp_path, shape=(2, 6, 5))


def test_sizes_must_agree_unless_resizing_is_asked_for(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(GREY.T.copy()).save(tmp_path / "b.png")
    assert refusal(tmp_path).startswith(f"{tmp_path / 'b.png'}: expected 5 x 6 pixels (got 6 x 5); resize")
    assert refusal(tmp_path, shape=(1, 28, 28)).startswith(f"{tmp_path / 'a.png'}: expected 28 x 28 pixels")
    assert load_images(tmp_path, shape=(1, 28, 28), resize=True).images.shape == (2, 1, 28, 28)


def test_bad_folders(tmp_path):
    assert "no images here: expected .png" in refusal(tmp_path)
    (tmp_path / "a.png").write_bytes(b"this is no image")
    assert refusal(tmp_path).startswith(f"{tmp_path / 'a.png'}: cannot read this image")
    Image.fromarray(np.tile(COLOUR, (20, 20, 1))).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:300])
    assert refusal(tmp_path).startswith(f"{tmp_path / 'a.png'}: cannot read this image")
    Image.fromarray(GREY.astype(np.uint16) * 9).save(tmp_path / "a.png")
    assert "expected 8 bits per channel (got Pillow mode I;16)" in refusal(tmp_path)
    Image.fromarray(GREY).save(tmp_path / "a.png")
    (tmp_path / "cat").mkdir()
    Image.fromarray(GREY).save(tmp_path / "cat" / "a.png")
    assert "expected either images or class folders (got both: a.png and cat/)" in refusal(tmp_path)
    assert "has no time axis (got layout TN)" in refusal(tmp_path, layout="TN")


def test_suffix_and_layout(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    assert "put a single image into a folder" in refusal(tmp_path / "a.png")
    with pytest.raises(UsageError, match="unknown layout 'NTX': did you mean 'NT'"):
        load_images(tmp_path, layout="NTX")
    (tmp_path / "a.npy").write_bytes(b"")
    assert "expected a data file (got an empty file)" in refusal(tmp_path / "a.npy")


PIXELS = RNG.integers(0, 256, (4, 1, 6, 5), dtype=np.uint8)
LABELS = np.array([0, 2, 1, 1])


def write(path, images, labels=None):
    if path.suffix == ".npy":
        np.save(path, images)
    elif path.suffix == ".npz":
        np.savez(path, **({"images": images} if labels is None else {"x": images, "y": labels}))
    elif labels is None:
        torch.save(torch.from_numpy(images), path)
    else:
        torch.save({"images": torch.from_numpy(images), "labels": torch.from_numpy(labels)}, path)
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt"])
def test_arrays(tmp_path, suffix):
    path = tmp_path / f"data{suffix}"
    images = load_images(write(path, PIXELS), shape=(1, 6, 5))
    assert images.images.dtype == torch.uint8
    assert np.array_equal(images.images.numpy(), PIXELS)
    floats = load_images(write(path, PIXELS.astype(np.float64) / 7 - 3))
    assert floats.images.dtype == torch.float32
    spikes = load_images(write(path, PIXELS > 128))
    assert set(spikes.images.unique().tolist()) == {0.0, 1.0}
    assert load_images(write(path, PIXELS[:, 0]), shape=(1, 6, 5)).images.shape == (4, 1, 6, 5)
    if suffix != ".npy":
        labelled = load_images(write(path, PIXELS, LABELS), classes=("a", "b", "c"))
        assert labelled.labels.tolist() == [0, 2, 1, 1]
        assert "labels must be from 0 to 1" in refusal(path, classes=("a", "b"))
        assert "expected one label per sample, 4 (got shape [3])" in refusal(write(path, PIXELS, LABELS[:3]))
        assert "labels must be integers [N]" in refusal(write(path, PIXELS, LABELS * 1.0))
        assert "give class numbers, not one-hot rows" in refusal(write(path, PIXELS, np.eye(4, dtype=int)))


def test_big_endian_arrays_are_read(tmp_path):
    values = RNG.normal(size=(4, 3)).astype(">f4")
    images = load_images(write(tmp_path / "data.npy", values)).images
    assert np.array_equal(images.numpy(), values.astype("<f4"))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt"])
def test_time_layouts(tmp_path, suffix):
    path = write(tmp_path / f"data{suffix}", RNG.normal(size=(3, 4, 1, 6, 5)).astype(np.float32))
    timed = load_images(path, shape=(1, 6, 5), layout="TN")
    assert (timed.time_steps, len(timed)) == (3, 4)
    timed = load_images(path, layout="NT")
    assert (timed.time_steps, len(timed)) == (4, 3)
    assert "expected images [N, 1, 6, 5] (got [3, 4, 1, 6, 5]); transpose" in refusal(path, shape=(1, 6, 5))
    assert "expected images [T, N, 3, 6, 5]" in refusal(path, shape=(3, 6, 5), layout="TN")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt"])
def test_bad_arrays(tmp_path, suffix):
    path = tmp_path / f"data{suffix}"
    poisoned = PIXELS.astype(np.float32)
    poisoned[0, 0, 0, :2] = np.nan, np.inf
    assert "images hold NaN or infinity in 2 of 120 values" in refusal(write(path, poisoned))
    assert "must be uint8 pixels, floats or booleans (got int64)" in refusal(write(path, PIXELS.astype(int)))
    assert "expected at least one sample (got shape [0, 1, 6, 5])" in refusal(write(path, PIXELS[:0]))
    assert "expected at least 2 axes in layout N (got shape [5])" in refusal(write(path, PIXELS[0, 0, 0]))
    assert "expected at least 3 axes in layout TN" in refusal(write(path, PIXELS[0, 0]), layout="TN")
    assert "expected images [N, 1, 8, 8] (got [4, 1, 6, 5])" in refusal(write(path, PIXELS), shape=(1, 8, 8))
    whole = write(path, PIXELS).read_bytes()
    for cut in (len(whole) - 60, 20, 3):
        path.write_bytes(whole[:cut])
        assert "damaged or foreign" in refusal(path)
    path.write_bytes(b"plain text, nothing else\n" * 5)
    assert refusal(path).startswith(f"{path}: damaged or foreign")


def test_objects_and_code_are_not_read(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", images=np.array([{"a": 1}], dtype=object))
    (tmp_path / "b.npy").write_bytes(pickle.dumps({"a": 1}))
    for name in ("a.npy", "a.npz", "b.npy"):
        assert "pickled objects, which were not read" in refusal(tmp_path / name)
    torch.save(torch.nn.Linear(1, 1), tmp_path / "a.pt")
    assert "contains code, which was not run" in refusal(tmp_path / "a.pt")
    np.save(tmp_path / "c.npy", np.array(["text"]))
    assert "images must be numbers (got dtype <U4)" in refusal(tmp_path / "c.npy")
    np.save(tmp_path / "c.npy", np.ones((2, 2), dtype=complex))
    assert "images must be numbers (got dtype complex128)" in refusal(tmp_path / "c.npy")


def test_missing_keys(tmp_path):
    np.savez(tmp_path / "a.npz", pictures=PIXELS)
    assert "expected an array called images or x (got pictures); rename it" in refusal(tmp_path / "a.npz")
    torch.save({"pictures": torch.ones(2, 2)}, tmp_path / "a.pt")
    assert "expected an array called images or x (got pictures); rename it" in refusal(tmp_path / "a.pt")
    torch.save({"images": [1, 2]}, tmp_path / "a.pt")
    assert "images must be an array (got a list)" in refusal(tmp_path / "a.pt")
    torch.save([torch.ones(2)], tmp_path / "a.pt")
    assert "expected a tensor, or a dict with images or x" in refusal(tmp_path / "a.pt")
    torch.save(torch.ones(2, 2).to_sparse(), tmp_path / "a.pt")
    assert "images must be a dense tensor" in refusal(tmp_path / "a.pt")
    torch.save(torch.ones(2, 2, dtype=torch.complex64), tmp_path / "a.pt")
    assert "(got complex64)" in refusal(tmp_path / "a.pt")
