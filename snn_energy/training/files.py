"""The user's own data: a folder of images, .npy, .npz, or a .pt file with tensors.

8-bit pixels stay pixels and go through the model's normalisation; floating-point arrays are taken as the
network's input, already normalised; booleans are spikes, 0.0 or 1.0; integers [N, length] are token ids, for a network
of the user's own. Nothing is unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snn_energy.errors import DataError
from snn_energy.models import storage
from snn_energy.models.suggest import unknown
from snn_energy.training.imageset import LAYOUTS, ImageSet

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm", ".ppm", ".pnm", ".gif", ".tif", ".tiff")
EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
PILLOW_MODE = {1: "L", 3: "RGB"}
IMAGE_KEYS = ("images", "x")
LABEL_KEYS = ("labels", "y")

TOKENS = (torch.int32, torch.int64)

Shape = tuple[int, ...]


def load_files(
    path: str | Path,
    *,
    split: str = "test",
    shape: Shape | None = None,
    layout: str = "N",
    resize: bool = False,
    classes: Sequence[str] | None = None,
) -> ImageSet:
    """Read `path`, a folder of images or a .npy, .npz, .pt or .pth file.

    `shape` is the one sample's shape that the model takes, (C, H, W); images are converted to its 1 (grey) or
    3 (RGB) channels, and resized to it (bilinear) only with `resize`. `layout` says where an array's samples
    and time steps are: "N", "TN" or "NT". `classes` are the model's class names: class folders are then
    numbered by it instead of alphabetically. Errors: DataError naming the file and what was expected of it.
    """
    path = Path(path)
    if layout not in LAYOUTS:
        raise unknown("layout", layout, LAYOUTS)
    if path.is_dir():
        return _folder(path, split, shape, layout, resize, classes)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path}: expected a folder of images or one of {', '.join(_READERS)} (got {path.suffix!r}); put"
            " a single image into a folder"
        )
    storage.checked_file(path, "data file", DataError)
    images, labels = reader(path)
    images = _checked_array(path, images, shape, layout)
    labels = None if labels is None else _checked_labels(path, labels, classes)
    return ImageSet(
        images=images,
        labels=labels,
        classes=tuple(classes or ()),
        name=path.stem,
        split=split,
        source=str(path),
        layout=layout,
    )


def _folder(
    path: Path, split: str, shape: Shape | None, layout: str, resize: bool, classes: Sequence[str] | None
) -> ImageSet:
    if layout != "N":
        raise DataError(f"{path}: a folder of still images has no time axis (got layout {layout}); give a .npy array")
    if shape is not None and (len(shape) != 3 or shape[0] not in PILLOW_MODE):
        raise DataError(
            f"{path}: images have 1 or 3 channels: expected a model input (1 or 3, H, W) (got {list(shape)});"
            " give a .npy array"
        )
    files, folders = _images_in(path), sorted(p for p in _visible(path) if p.is_dir())
    per_class = {folder.name: _images_in(folder) for folder in folders}
    per_class = {name: found for name, found in per_class.items() if found}
    if files and per_class:
        raise DataError(
            f"{path}: expected either images or class folders (got both: {files[0].name} and"
            f" {next(iter(per_class))}/); separate them"
        )
    if not files and not per_class:
        raise DataError(f"{path}: no images here: expected {', '.join(IMAGE_SUFFIXES)}; name the folder they are in")
    labels: Tensor | None = None
    names: tuple[str, ...] = tuple(classes or ())
    if per_class:
        names = names or tuple(per_class)
        numbers = []
        for name, found in per_class.items():
            if name not in names:
                raise DataError(f"{path / name}: {unknown('class folder', name, names)}")
            numbers += [names.index(name)] * len(found)
            files += found
        labels = torch.tensor(numbers, dtype=torch.int64)
    return ImageSet(
        images=read_images(files, shape, resize),
        labels=labels,
        classes=names,
        name=path.name,
        split=split,
        source=str(path),
    )


def _visible(path: Path) -> list[Path]:
    return [p for p in path.iterdir() if not p.name.startswith(".")]


def _images_in(path: Path) -> list[Path]:
    return sorted(p for p in _visible(path) if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())


def read_images(files: Sequence[Path], shape: Shape | None, resize: bool) -> Tensor:
    """Return `n c h w` uint8; without a `shape` the first image decides it.

    Errors: DataError for a file that is no image, or of another size unless `resize`.
    """
    from PIL import Image

    images = None
    for number, file in enumerate(files):
        try:
            with Image.open(file) as image:
                image.load()
                if image.mode not in EIGHT_BIT_MODES:
                    raise DataError(
                        f"{file}: expected 8 bits per channel (got Pillow mode {image.mode}); convert it to 8"
                        " bits, or give normalised floats in a .npy file"
                    )
                if shape is None:
                    grey = image.mode in ("1", "L", "LA")
                    shape = (1 if grey else 3, image.height, image.width)
                pixels = image.convert(PILLOW_MODE[shape[0]])
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as problem:
            reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
            raise DataError(f"{file}: cannot read this image ({reason}); replace or remove it") from None
        size = (shape[2], shape[1])
        if pixels.size != size:
            if not resize:
                raise DataError(
                    f"{file}: expected {size[0]} x {size[1]} pixels (got {pixels.width} x {pixels.height});"
                    " resize the image, or ask for resizing (resize=True, --resize)"
                )
            pixels = pixels.resize(size, Image.Resampling.BILINEAR)
        if images is None:
            images = np.empty((len(files), *shape), dtype=np.uint8)
        images[number] = np.asarray(pixels, dtype=np.uint8).reshape(shape[1], shape[2], shape[0]).transpose(2, 0, 1)
    assert images is not None, "there is at least one file"
    return torch.from_numpy(images)


def _read_npy(path: Path) -> tuple[Any, Any]:
    return _numpy(path), None


def _read_npz(path: Path) -> tuple[Any, Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files if name in IMAGE_KEYS + LABEL_KEYS}
            names = archive.files
    except (*storage.DAMAGED, zipfile.BadZipFile) as problem:
        raise _bad_numpy(path, problem) from None
    return _pick(path, arrays, names)


def _read_pt(path: Path) -> tuple[Any, Any]:
    content = storage.read_torch(path, "data file", DataError)
    if isinstance(content, Tensor):
        return content, None
    if isinstance(content, dict):
        return _pick(path, content, [str(key) for key in content])
    raise DataError(
        f"{path}: expected a tensor, or a dict with {' or '.join(IMAGE_KEYS)} and {' or '.join(LABEL_KEYS)}"
        f" (got a {type(content).__name__}); save it with torch.save(tensor, path)"
    )


def _pick(path: Path, arrays: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, Any]:
    images = next((arrays[key] for key in IMAGE_KEYS if key in arrays), None)
    if images is None:
        raise DataError(
            f"{path}: expected an array called {' or '.join(IMAGE_KEYS)} (got {', '.join(names) or 'none'}); rename it"
        )
    return images, next((arrays[key] for key in LABEL_KEYS if key in arrays), None)


def _numpy(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return np.load(file, allow_pickle=False)
    except storage.DAMAGED as problem:
        raise _bad_numpy(path, problem) from None


def _bad_numpy(path: Path, problem: BaseException) -> DataError:
    # NumPy takes any bytes that it does not know for a pickle, so its words alone do not tell.
    if str(problem).startswith("Object arrays") or path.read_bytes()[:1] == storage.PICKLE_MAGIC:
        return DataError(
            f"{path}: expected plain numbers (got pickled objects, which were not read); save an array of"
            " uint8 or float32"
        )
    return DataError(f"{path}: damaged or foreign {path.suffix} file ({problem}); write it again with numpy.save")


def _tensor(path: Path, value: Any, what: str) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    if not isinstance(value, np.ndarray):
        raise DataError(f"{path}: {what} must be an array (got a {type(value).__name__})")
    if value.dtype.kind not in "buif":
        raise DataError(f"{path}: {what} must be numbers (got dtype {value.dtype}); save them as uint8 or float32")
    native = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("="))
    if native.dtype == np.longdouble:
        native = native.astype(np.float64)
    return torch.from_numpy(native)


def _checked_array(path: Path, value: Any, shape: Shape | None, layout: str) -> Tensor:
    images = _tensor(path, value, "images")
    if images.layout != torch.strided or images.is_quantized:
        raise DataError(f"{path}: images must be a dense tensor (got {images.layout}); save images.to_dense()")
    if images.is_floating_point():
        images = images.to(torch.float32)
        if not bool(torch.isfinite(images).all()):
            bad = int((~torch.isfinite(images)).sum())
            raise DataError(
                f"{path}: images hold NaN or infinity in {bad} of {images.numel()} values (or numbers beyond"
                " float32): expected finite numbers; repair the data"
            )
    elif images.dtype == torch.bool:
        images = images.to(torch.float32)
    elif shape is None and images.dtype in TOKENS and images.dim() == (2 if layout == "N" else 3):
        images = images.to(torch.int64)  # token ids [N, length], for a network that looks them up
    elif images.dtype != torch.uint8:
        raise DataError(
            f"{path}: images must be uint8 pixels, floats or booleans (got"
            f" {str(images.dtype).removeprefix('torch.')}); convert them first"
        )
    if shape is None:
        return images
    lead = 1 if layout == "N" else 2
    # Grey images are often stored without a channel axis.
    if shape[0] == 1 and images.dim() == lead + len(shape) - 1:
        images = images.unsqueeze(lead)
    if images.dim() != lead + len(shape) or tuple(images.shape[lead:]) != shape:
        axes = {"N": "N", "TN": "T, N", "NT": "N, T"}[layout]
        raise DataError(
            f"{path}: expected images [{axes}, {', '.join(map(str, shape))}] (got {list(images.shape)});"
            " transpose or resize them, or say where time is (layout TN or NT)"
        )
    return images


def _checked_labels(path: Path, value: Any, classes: Sequence[str] | None) -> Tensor:
    labels = _tensor(path, value, "labels")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool or labels.dim() != 1:
        raise DataError(
            f"{path}: labels must be integers [N] (got {str(labels.dtype).removeprefix('torch.')}"
            f" {list(labels.shape)}); give class numbers, not one-hot rows"
        )
    labels = labels.to(torch.int64)
    if labels.numel() and classes and not 0 <= int(labels.min()) <= int(labels.max()) < len(classes):
        raise DataError(
            f"{path}: labels must be from 0 to {len(classes) - 1}, the model's classes (got"
            f" {int(labels.min())} to {int(labels.max())}); renumber them"
        )
    return labels


_READERS: dict[str, Callable[[Path], tuple[Any, Any]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".pt": _read_pt,
    ".pth": _read_pt,
}
