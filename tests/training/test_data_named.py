"""The named data sets: what is in them, where they are found, and what is said when they are not."""

import numpy as np
import pytest
import torch

from snn_energy.errors import UsageError
from snn_energy.training import ImageSet, dataset_names, load_images


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


def test_names():
    assert dataset_names() == ("cifar10", "cifar100", "digits", "fashion-mnist", "mnist", "tinyimagenet")


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
