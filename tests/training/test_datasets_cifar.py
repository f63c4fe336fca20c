"""CIFAR-10 and CIFAR-100: every official form gives the same images, and nothing in a file is ever run."""

import hashlib
import pickle
import tarfile
import warnings

import numpy as np
import pytest
from cifar_files import FINE_NAMES, FOLDERS, FORMS, Sample, python2_pickle, tar_gz, trust

from snn_energy.errors import DataError
from snn_energy.training import load_images
from snn_energy.training.datasets import cifar
from snn_energy.training.datasets.unpickling import read_pickle

NAMES = ("cifar10", "cifar100")


@pytest.fixture(autouse=True)
def _no_data_of_the_user(monkeypatch):
    monkeypatch.delenv("SNN_ENERGY_DATA", raising=False)


def refusal(name, split="test", **options):
    with pytest.raises(DataError) as caught:
        load_images(name, split, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_all_forms_hold_the_same_images(name, form, tmp_path, monkeypatch):
    sample = Sample(name)
    trust(monkeypatch, sample.write(tmp_path, form))
    for split in ("train", "test"):
        loaded = load_images(name, split, data_dir=tmp_path)
        assert np.array_equal(loaded.images.numpy(), sample.images[split])
        assert loaded.images.is_contiguous()
        assert loaded.labels.tolist() == sample.labels[split]
        assert (loaded.name, loaded.split, loaded.source) == (name, split, f"{name} ({split} split)")
    assert loaded.classes == (cifar.CIFAR10_NAMES if name == "cifar10" else tuple(FINE_NAMES))


@pytest.mark.parametrize("form", ["binary folder", "python archive"])
@pytest.mark.parametrize("place", ["folder itself", "parent", "below its name", "variable", "variable and name"])
def test_places(place, form, tmp_path, monkeypatch):
    sample = Sample("cifar10")
    root = tmp_path / "cifar10" if "name" in place else tmp_path
    path = sample.write(root, form)
    trust(monkeypatch, path)
    data_dir = tmp_path
    if place == "folder itself":
        data_dir = path if path.is_dir() else path.parent
    elif "variable" in place:
        monkeypatch.setenv("SNN_ENERGY_DATA", str(tmp_path))
        data_dir = None
    loaded = load_images("cifar10", data_dir=data_dir)
    assert np.array_equal(loaded.images.numpy(), sample.images["test"])


@pytest.mark.parametrize("name", NAMES)
def test_missing_files_say_what_to_get_and_where_to_put_it(name, tmp_path, monkeypatch):
    message = refusal(name, data_dir=tmp_path)
    for version in cifar.VERSIONS[name]:
        assert f"{version.archive} (MD5 {cifar.CHECKSUMS[version.archive]})" in message
        assert f"{version.folder}/" in message
    for part in ("https://www.cs.toronto.edu/~kriz/cifar.html", str(tmp_path / name), "--data-dir", "SNN_ENERGY_DATA"):
        assert part in message
    assert "in no folder: give --data-dir, or set SNN_ENERGY_DATA" in refusal(name)
    # One file of several is not enough.
    path = Sample(name).write(tmp_path, "binary folder")
    (path / cifar.VERSIONS[name][0].needed("train")[-1]).unlink()
    assert "got none of them" in refusal(name, "train", data_dir=tmp_path)


def test_every_file_that_is_run_through_a_parser_has_a_published_checksum():
    unchecked = set()
    for versions in cifar.VERSIONS.values():
        for version in versions:
            needed = {f"{version.folder}/{file}" for split in ("train", "test") for file in version.needed(split)}
            unchecked |= {key for key in needed | {version.archive} if key not in cifar.CHECKSUMS}
    assert unchecked == {"cifar-100-binary/fine_label_names.txt"}, "names alone; their number is checked"
    assert all(len(digest) == 32 and int(digest, 16) for digest in cifar.CHECKSUMS.values())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_other_content_is_refused(name, form, tmp_path):
    path = Sample(name).write(tmp_path, form)
    message = refusal(name, data_dir=tmp_path)
    assert message.startswith(str(path))
    assert "expected MD5" in message
    assert "copy or download it again" in message


@pytest.mark.parametrize("name", NAMES)
def test_damage_behind_the_checksum(name, tmp_path, monkeypatch):
    sample = Sample(name)
    for form, cut in (("binary folder", 1), ("python folder", 100)):
        path = sample.write(tmp_path, form)
        file = path / cifar.VERSIONS[name][0 if "binary" in form else 1].files["test"][0]
        file.write_bytes(file.read_bytes()[:-cut])
        trust(monkeypatch, path)
        expected = "expected records of" if "binary" in form else "damaged or foreign pickle"
        assert expected in refusal(name, data_dir=path)


def test_labels_and_names_that_do_not_fit(tmp_path, monkeypatch):
    sample = Sample("cifar10")
    sample.labels["test"][2] = 10
    trust(monkeypatch, sample.write(tmp_path / "a", "binary folder"))
    assert "expected 10 classes (got 10 names, and labels up to 10)" in refusal("cifar10", data_dir=tmp_path / "a")
    sample = Sample("cifar100")
    path = sample.write(tmp_path / "b", "binary folder")
    (path / "fine_label_names.txt").write_text("one two")
    trust(monkeypatch, path)
    assert "expected 100 classes (got 2 names" in refusal("cifar100", data_dir=tmp_path / "b")


# -- pickles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0, 3), (3, 4), (2, 3072)])
def test_pickles_of_python_2_are_what_numpy_makes_of_them(shape):
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    content = python2_pickle({"data": array, "labels": [3, 1], "batch_label": "x"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about numpy.core, NumPy's old name
        oracle = pickle.loads(content, encoding="latin1")
    assert np.array_equal(oracle["data"], array), "the test writes what the official files hold"
    ours = read_pickle("x", content)
    assert np.array_equal(ours["data"], array)
    assert ours["data"].dtype == np.uint8
    assert ours["labels"] == [3, 1]


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_pickles_of_python_3_are_read_too(protocol, order):
    array = np.asarray(np.arange(12, dtype=np.uint8).reshape(3, 4), order=order)
    ours = read_pickle("x", pickle.dumps({"data": array}, protocol=protocol))
    assert np.array_equal(ours["data"], array)


class Touch:
    """Unpickled in good faith, this creates a file."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def attacks(target):
    """Pickles that would create the file `target`, or call what they have no business to call."""
    import os
    import pathlib

    command = f"touch {target}"
    return {
        "os.system": pickle.dumps(Touch(os.system, command), protocol=2),
        "open": pickle.dumps({"data": Touch(open, str(target), "w")}, protocol=4),
        "a method": pickle.dumps([Touch(pathlib.Path.touch, pathlib.Path(target))], protocol=4),
        "eval in text": b"c__builtin__\neval\n(Vopen(%r, 'w')\ntR." % str(target),
        "INST": b"(S'" + command.encode() + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + command.encode() + b"'\no.",
        "numpy.load": b"cnumpy\nload\n(V%s\ntR." % str(target).encode(),
        "through numpy": b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.",
        "dotted": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
        "other codec": b"c_codecs\nencode\n(Vx\nVrot13\ntR.",
        "persistent": b"P123\n.",
        "extension": b"\x82\x01.",
    }


@pytest.mark.parametrize("kind", attacks("x"))
def test_code_in_a_pickle_is_not_run(kind, tmp_path, monkeypatch):
    target = tmp_path / "created"
    content = attacks(target)[kind]
    with pytest.raises(DataError) as caught:
        read_pickle("the file", content)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("the file: ")
    assert not target.exists()


def test_the_attack_would_work_with_plain_pickle(tmp_path):
    target = tmp_path / "created"
    pickle.loads(attacks(target)["open"])["data"].close()
    assert target.exists()


def test_code_in_an_official_looking_file_is_not_run(tmp_path, monkeypatch):
    target = tmp_path / "created"
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "test_batch").write_bytes(attacks(target)["open"])
    digest = hashlib.md5((folder / "test_batch").read_bytes()).hexdigest()
    monkeypatch.setitem(cifar.CHECKSUMS, "cifar-10-batches-py/test_batch", digest)
    message = refusal("cifar10", data_dir=tmp_path)
    assert "got a pickle that names _io.open, which was not run" in message.replace(" io.open", " _io.open")
    assert not target.exists()


def test_a_file_cannot_change_how_the_next_one_is_read():
    # BUILD with a pair sets attributes: here, on what stands for numpy.ndarray.
    poison = b"cnumpy\nndarray\n(NV__setstate__\n}(V__setstate__\nNutb."
    with pytest.raises(DataError):
        read_pickle("x", poison)
    poison = b"\x80\x02cnumpy\nndarray\n(N}(X\x0c\x00\x00\x00__setstate__NutbK\x01."
    with pytest.raises(DataError):
        read_pickle("x", poison)
    array = np.arange(6, dtype=np.uint8)
    assert np.array_equal(read_pickle("x", python2_pickle({"data": array}))["data"], array)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1, 2], "expected a dict (got a list)"),
        ({"data": np.arange(4, dtype=np.int32)}, "expected an array of bytes, u1 (got i4)"),
        ({"data": np.array([{}, []], dtype=object)}, "expected an array of bytes, u1 (got O8)"),
    ],
)
def test_foreign_pickles(value, words):
    with pytest.raises(DataError) as caught:
        read_pickle("x", pickle.dumps(value, protocol=2))
    assert words in str(caught.value)


def test_damaged_pickles_are_refused_or_read():
    whole = python2_pickle({"data": np.arange(64, dtype=np.uint8), "labels": [1, 2, 3]})
    rng = np.random.default_rng(2)
    refusals = []
    for trial in range(600):
        content = bytearray(whole[: rng.integers(1, len(whole))] if trial % 2 else whole)
        for _ in range(rng.integers(1, 4)):
            content[rng.integers(len(content))] = rng.integers(256)
        try:
            read_pickle("x", bytes(content))
        except DataError as problem:
            refusals.append(str(problem))
    assert len(refusals) >= 300, "every truncated one, at least"
    assert not any("\n" in message for message in refusals)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ({"labels": [1]}, "(got NoneType and 1 labels)"),
        ({"data": np.zeros((2, 3072), dtype=np.uint8), "labels": [1]}, "(got (2, 3072) and 1 labels)"),
        ({"data": np.zeros((1, 3071), dtype=np.uint8), "labels": [1]}, "(got (1, 3071) and 1 labels)"),
        ({"data": np.zeros((1, 3072), dtype=np.uint8), "labels": 1}, "0 labels"),
        ({"data": np.zeros((1, 3072), dtype=np.uint8), "labels": [-1]}, "expected labels to be class numbers"),
        ({"data": np.zeros((1, 3072), dtype=np.uint8), "labels": ["cat"]}, "expected labels to be class numbers"),
    ],
)
def test_batches_that_do_not_fit_together(batch, words, tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "test_batch").write_bytes(python2_pickle(batch))
    trust(monkeypatch, folder)
    assert words in refusal("cifar10", data_dir=tmp_path)


# -- archives --------------------------------------------------------------------------------------------------------


def test_nothing_is_unpacked(tmp_path, monkeypatch):
    sample = Sample("cifar10")
    files = {f"cifar-10-batches-bin/{name}": content for name, content in sample.files("binary").items()}
    outside = {"../outside.bin": b"x", "/absolute.bin": b"x", "cifar-10-batches-bin/../../up.bin": b"x"}
    path = tmp_path / "data" / "cifar-10-binary.tar.gz"
    path.parent.mkdir()
    path.write_bytes(tar_gz({**outside, **files}))
    trust(monkeypatch, path)
    assert np.array_equal(load_images("cifar10", data_dir=path.parent).images.numpy(), sample.images["test"])
    assert [p.name for p in tmp_path.rglob("*")] == ["data", path.name]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_links_are_not_followed(kind, tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_bytes(Sample("cifar10").files("binary")["test_batch.bin"])
    link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
    link.type, link.linkname = kind, str(secret)
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(tar_gz({}, extra=(link,)))
    trust(monkeypatch, path)
    message = refusal("cifar10", data_dir=tmp_path)
    assert "expected cifar-10-batches-bin/test_batch.bin in it (got no such file)" in message


def test_damaged_archives(tmp_path, monkeypatch):
    whole = Sample("cifar10").write(tmp_path, "binary archive").read_bytes()
    path = tmp_path / "cifar-10-binary.tar.gz"
    for content in (whole[: len(whole) // 2], whole[:20], b"no archive", b""):
        path.write_bytes(content)
        trust(monkeypatch, path)
        assert "expected a .tar.gz archive (got" in refusal("cifar10", "train", data_dir=tmp_path)


def test_folder_names_are_the_official_ones():
    for name, (binary, python, _) in FOLDERS.items():
        assert [version.folder for version in cifar.VERSIONS[name]] == [binary, python]
