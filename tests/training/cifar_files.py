"""Small CIFAR files in each of the official forms, written byte by byte from their description."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
from pathlib import Path

import numpy as np

from snn_energy.training.datasets import cifar

# Name -> the folders of the two versions, and how many label bytes a binary record has.
FOLDERS = {
    "cifar10": ("cifar-10-batches-bin", "cifar-10-batches-py", 1),
    "cifar100": ("cifar-100-binary", "cifar-100-python", 2),
}
CLASSES = {"cifar10": 10, "cifar100": 100}
FINE_NAMES = [f"class_{i}" for i in range(100)]
FORMS = ("binary folder", "python folder", "binary archive", "python archive")


class Sample:
    """Random images and labels of both splits: 5 x 4 images for training, 7 for testing."""

    def __init__(self, name: str, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.name = name
        self.images = {s: rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8) for s, n in (("train", 20), ("test", 7))}
        self.labels = {s: rng.integers(0, CLASSES[name], len(x)).tolist() for s, x in self.images.items()}
        self.coarse = {s: rng.integers(0, 20, len(x)).tolist() for s, x in self.images.items()}

    def parts(self) -> dict[str, tuple[np.ndarray, list[int], list[int]]]:
        """File stem -> pixels [n, 3072], labels, coarse labels."""
        flat = {split: images.reshape(len(images), -1) for split, images in self.images.items()}
        rows = {split: (flat[split], self.labels[split], self.coarse[split]) for split in flat}
        if self.name == "cifar100":
            return rows
        cut = {f"data_batch_{i + 1}": tuple(part[4 * i : 4 * i + 4] for part in rows["train"]) for i in range(5)}
        return {**cut, "test_batch": rows["test"]}

    def files(self, version: str) -> dict[str, bytes]:
        """Name -> content of every file of one version."""
        if version == "binary":
            made = {f"{stem}.bin": self._records(*part) for stem, part in self.parts().items()}
            return (
                made
                if self.name == "cifar10"
                else {
                    **made,
                    "fine_label_names.txt": ("\n".join(FINE_NAMES) + "\n\n").encode(),
                    "coarse_label_names.txt": b"unused\n",
                }
            )
        made = {stem: self._batch(*part) for stem, part in self.parts().items()}
        names = FINE_NAMES if self.name == "cifar100" else []
        meta = python2_pickle({"fine_label_names": names})
        return {**made, "meta" if self.name == "cifar100" else "batches.meta": meta}

    def _records(self, pixels: np.ndarray, labels: list[int], coarse: list[int]) -> bytes:
        heads = [bytes([label]) if self.name == "cifar10" else bytes([c, label]) for label, c in zip(labels, coarse)]
        return b"".join(head + row.tobytes() for head, row in zip(heads, pixels, strict=True))

    def _batch(self, pixels: np.ndarray, labels: list[int], coarse: list[int]) -> bytes:
        if self.name == "cifar10":
            return python2_pickle({"batch_label": "a batch", "labels": labels, "data": pixels})
        return python2_pickle({"fine_labels": labels, "coarse_labels": coarse, "data": pixels})

    def write(self, root: Path, form: str) -> Path:
        """Write one form below `root` and return the folder or archive."""
        version, kind = form.split()
        folder = FOLDERS[self.name][0 if version == "binary" else 1]
        files = self.files(version)
        root.mkdir(parents=True, exist_ok=True)
        if kind == "folder":
            (root / folder).mkdir()
            for name, content in files.items():
                (root / folder / name).write_bytes(content)
            return root / folder
        path = root / f"{self.name.replace('cifar', 'cifar-')}-{version}.tar.gz"
        path.write_bytes(tar_gz({f"{folder}/{name}": content for name, content in files.items()}))
        return path


def trust(monkeypatch, path: Path) -> None:
    """Put the checksums of these files into the table of the official ones."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    for file in files:
        key = file.name if path.is_file() else f"{path.name}/{file.name}"
        if key in cifar.CHECKSUMS:
            monkeypatch.setitem(cifar.CHECKSUMS, key, hashlib.md5(file.read_bytes()).hexdigest())


def tar_gz(files: dict[str, bytes], extra: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
    """A .tar.gz of regular files, after `extra` members without content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for info in extra:
            archive.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def python2_pickle(value: dict[str, object]) -> bytes:
    """What Python 2's cPickle writes with protocol 2: text as byte strings, arrays by NumPy's names."""
    return b"\x80\x02" + _pickled(value) + b"."


def _pickled(value: object) -> bytes:
    if isinstance(value, dict):
        return b"}(" + b"".join(_pickled(k) + _pickled(v) for k, v in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_pickled, value)) + b"e"
    if isinstance(value, str | bytes):
        raw = value.encode() if isinstance(value, str) else value
        return b"T" + struct.pack("<i", len(raw)) + raw
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_pickled, value)) + b"t"
    assert isinstance(value, np.ndarray)
    kind = b"cnumpy\ndtype\n" + _pickled((value.dtype.str[1:], 0, 1)) + b"R"
    kind += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _pickled((0,)) + b"U\x01btR"
    return empty + b"(K\x01" + _pickled(value.shape) + kind + b"\x89" + _pickled(value.tobytes()) + b"tb"
