"""The real data sets, where $SNN_ENERGY_DATA holds them: sizes, balance and the published means and deviations.

Left out elsewhere. MNIST is not balanced: its class counts are those of the official files.
"""

import os
import time

import pytest
import torch

from snn_energy.errors import DataError
from snn_energy.training import load_images

MNIST_COUNTS = {
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}


def real(name, split):
    if not os.environ.get("SNN_ENERGY_DATA"):
        pytest.skip("SNN_ENERGY_DATA is not set")
    try:
        return load_images(name, split)
    except DataError as problem:
        if "got none of them" not in str(problem):
            raise
        pytest.skip(f"{name} is not in SNN_ENERGY_DATA")


@pytest.mark.parametrize(
    ("name", "mean", "std", "first"),
    [
        # The first labels: frog, truck, truck, deer; cattle, dinosaur, apple, boy.
        ("cifar10", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), [6, 9, 9, 4]),
        ("cifar100", (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762), [19, 29, 0, 11]),
    ],
)
def test_cifar(name, mean, std, first):
    real(name, "test")
    started = time.perf_counter()
    train, test = real(name, "train"), real(name, "test")
    seconds = time.perf_counter() - started
    classes = len(train.classes)
    assert train.images.shape == (50_000, 3, 32, 32)
    assert test.images.shape == (10_000, 3, 32, 32)
    assert train.labels.bincount().tolist() == [50_000 // classes] * classes
    assert test.labels.bincount().tolist() == [10_000 // classes] * classes
    assert train.labels[:4].tolist() == first
    levels = torch.arange(256, dtype=torch.float64) / 255
    for channel, (wanted_mean, wanted_std) in enumerate(zip(mean, std, strict=True)):
        share = train.images[:, channel].flatten().bincount(minlength=256) / (50_000 * 32 * 32)
        found = float((share * levels).sum())
        assert found == pytest.approx(wanted_mean, abs=1e-4)
        assert float((share * (levels - found) ** 2).sum()) ** 0.5 == pytest.approx(wanted_std, abs=1e-4)
    assert seconds < 20, "a second or so, a few more out of an archive"


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize(("split", "count"), [("train", 60_000), ("test", 10_000)])
def test_idx(name, split, count):
    loaded = real(name, split)
    assert loaded.images.shape == (count, 1, 28, 28)
    assert loaded.labels.bincount().tolist() == (MNIST_COUNTS[split] if name == "mnist" else [count // 10] * 10)


def test_tinyimagenet():
    test = real("tinyimagenet", "test")
    classes = len(test.classes)
    assert test.labels.bincount().tolist() == [50] * classes
    assert test.images.dtype == torch.uint8
    train = real("tinyimagenet", "train")
    assert train.classes == test.classes
    assert len(set(train.labels.bincount().tolist())) == 1
