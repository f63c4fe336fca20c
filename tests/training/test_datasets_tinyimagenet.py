"""Tiny ImageNet: its folders, a part of its classes, grey JPEGs, and what is said when something is missing."""

import shutil

import numpy as np
import pytest
from PIL import Image

from snn_energy.errors import DataError
from snn_energy.training import load_images

# Not in alphabetical order, as in the official list.
WNIDS = ("n02124075", "n01443537", "n04067472")
WORDS = "n01443537\tgoldfish, Carassius auratus\nn02124075\tEgyptian cat\nn04067472\treel\nn09999999\treel\n"


def flat(level, grey=False):
    """A 64 x 64 image of one level: JPEG keeps it to a level or so."""
    return Image.fromarray(np.full((64, 64) if grey else (64, 64, 3), level, dtype=np.uint8))


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Two training images a class, of levels 10 k + i for class k of WNIDS; val images of 100 + k; one is grey."""
    monkeypatch.delenv("SNN_ENERGY_DATA", raising=False)
    root = tmp_path / "tiny-imagenet-200"
    (root / "val" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    (root / "words.txt").write_text(WORDS)
    lines = []
    for k, wnid in enumerate(WNIDS):
        folder = root / "train" / wnid / "images"
        folder.mkdir(parents=True)
        (folder.parent / f"{wnid}_boxes.txt").write_text("unused")
        for i in range(2):
            flat(10 * k + i, grey=(k, i) == (1, 1)).save(folder / f"{wnid}_{i}.JPEG")
        flat(100 + k).save(root / "val" / "images" / f"val_{k}.JPEG")
        lines.append(f"val_{k}.JPEG\t{wnid}\t0\t0\t63\t63\n")
    (root / "val" / "val_annotations.txt").write_text("".join(reversed(lines)))
    return root


def levels(loaded):
    assert loaded.images.shape[1:] == (3, 64, 64)
    return loaded.images.float().mean((1, 2, 3)).round().int().tolist()


def refusal(root, split="test"):
    with pytest.raises(DataError) as caught:
        load_images("tinyimagenet", split, data_dir=root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_classes_are_in_alphabetical_order_of_their_ids(root):
    train = load_images("tinyimagenet", "train", data_dir=root)
    assert train.classes == ("goldfish", "Egyptian cat", "reel")
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert levels(train) == [10, 11, 0, 1, 20, 21]
    # The same numbers as for the folder of class folders, which torchvision's ImageFolder numbers like this too.
    assert sorted(WNIDS)[0] == WNIDS[1]


def test_validation_images_are_the_test_split_in_the_order_of_the_list(root):
    test = load_images("tinyimagenet", data_dir=root.parent)
    assert test.labels.tolist() == [2, 0, 1]
    assert levels(test) == [102, 101, 100]
    assert (test.name, test.split, test.source) == ("tinyimagenet", "test", "tinyimagenet (test split)")


@pytest.mark.parametrize("below", [".", "tinyimagenet"])
def test_variable(below, root, tmp_path, monkeypatch):
    home = tmp_path / "home"
    shutil.copytree(root, home / below / "tiny-imagenet-200")
    monkeypatch.setenv("SNN_ENERGY_DATA", str(home))
    assert len(load_images("tinyimagenet")) == 3


def test_a_shorter_list_makes_a_smaller_set(root):
    (root / "wnids.txt").write_text(f"{WNIDS[2]}\n{WNIDS[0]}\n")
    train, test = (load_images("tinyimagenet", split, data_dir=root) for split in ("train", "test"))
    assert train.classes == test.classes == ("Egyptian cat", "reel")
    assert levels(train) == [0, 1, 20, 21]
    assert (test.labels.tolist(), levels(test)) == ([1, 0], [102, 100])


def test_without_lists_the_folders_are_the_classes(root):
    (root / "wnids.txt").unlink()
    (root / "words.txt").unlink()
    assert load_images("tinyimagenet", data_dir=root).classes == tuple(sorted(WNIDS))


def test_classes_of_one_name_keep_their_ids(root):
    (root / "words.txt").write_text(f"{WNIDS[0]}\tcrane, a bird\n{WNIDS[1]}\tcrane, a machine\n")
    assert load_images("tinyimagenet", data_dir=root).classes == tuple(sorted(WNIDS))


def test_what_is_missing_is_named(root, tmp_path):
    message = refusal(tmp_path / "nowhere")
    for part in ("tiny-imagenet-200.zip (MD5 90528d7c", "--data-dir", "SNN_ENERGY_DATA", str(tmp_path / "nowhere")):
        assert part in message
    (root / "val" / "images" / "val_1.JPEG").write_bytes(b"no image")
    assert refusal(root).startswith(f"{root / 'val' / 'images' / 'val_1.JPEG'}: cannot read this image")
    (root / "val" / "images" / "val_1.JPEG").unlink()
    assert refusal(root).startswith(f"{root / 'val' / 'images' / 'val_1.JPEG'}: cannot read this image")
    for line in ("no tab here", "../../secret.JPEG\tn02124075"):
        (root / "val" / "val_annotations.txt").write_text(f"val_0.JPEG\tn02124075\t0\n{line}\n")
        assert "val_annotations.txt: line 2: expected a file name, a tab and a WordNet id" in refusal(root)
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn00000000\t0\n")
    assert "expected images of the classes in wnids.txt (got none)" in refusal(root)
    shutil.rmtree(root / "train" / WNIDS[2])
    assert f"{WNIDS[2]}/images: expected the images of a class (got none)" in refusal(root, "train")
    (root / "wnids.txt").write_text("\n")
    assert "expected classes in wnids.txt or folders in train/ (got none)" in refusal(root, "train")


def test_images_of_another_size_are_refused(root):
    Image.new("RGB", (32, 64)).save(root / "val" / "images" / "val_2.JPEG")
    assert "expected 64 x 64 pixels (got 32 x 64)" in refusal(root)
