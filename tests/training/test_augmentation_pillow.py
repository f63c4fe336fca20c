"""Every operation on pixels against Pillow, image by image."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from snn_energy.training.augmentation import colours, cropping, geometry
from snn_energy.training.augmentation.operations import NAMES, NOTHING, OPERATIONS, apply_each, number

FILL = 77
RNG = np.random.default_rng(0)


def pictures(channels, height=24, width=32, count=6):
    """Noise, a smooth gradient, dark and light noise, a flat image, and one of two levels."""
    noise = RNG.integers(0, 256, (count, channels, height, width), dtype=np.uint8)
    ramp = np.linspace(20, 200, height * width).reshape(height, width)
    noise[1] = ramp.astype(np.uint8)
    noise[2] = noise[2] // 5 + 17
    noise[3] = 255 - noise[3] // 7
    noise[4] = 93
    noise[5] = np.where(noise[5] > 128, 255, 0)
    return torch.from_numpy(noise)


def to_pillow(image):
    array = image.permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(array.squeeze(2) if array.shape[2] == 1 else array))


def from_pillow(image):
    array = np.asarray(image)
    return torch.from_numpy(array.copy().reshape(*array.shape[:2], -1)).permute(2, 0, 1)


def by_pillow(change, pixels, values):
    return torch.stack(
        [from_pillow(change(to_pillow(image), value)) for image, value in zip(pixels, values, strict=True)]
    )


def fill_of(image):
    return FILL if image.mode == "L" else (FILL,) * 3


def moved(matrix):
    def change(image, value):
        return image.transform(image.size, Image.Transform.AFFINE, matrix(image, value), fillcolor=fill_of(image))

    return change


# Amounts in the units of the table of operations, six of them, with both signs where there are signs.
ANGLES = [-30.0, -10.0, 0.0, 3.3333333333333335, 17.0, 30.0]
SHARES = [-0.4, -0.1, 0.0, 0.05, 0.26, 0.4531722054380665]
SLOPES = [-0.3, -0.1, 0.0, 0.03333333333333333, 0.16, 0.3]
FACTORS = [-0.9, -0.5, 0.0, 0.1, 0.33, 0.9]

GEOMETRY = {
    "shear_x": (SLOPES, moved(lambda image, v: (1, v, 0, 0, 1, 0))),
    "shear_y": (SLOPES, moved(lambda image, v: (1, 0, 0, v, 1, 0))),
    "translate_x": (SHARES, moved(lambda image, v: (1, 0, int(v * image.width), 0, 1, 0))),
    "translate_y": (SHARES, moved(lambda image, v: (1, 0, 0, 0, 1, int(v * image.height)))),
    "rotate": (ANGLES, lambda image, v: image.rotate(v, fillcolor=fill_of(image))),
}
COLOURS = {
    "brightness": (FACTORS, lambda image, v: ImageEnhance.Brightness(image).enhance(1 + v)),
    "colour": (FACTORS, lambda image, v: ImageEnhance.Color(image).enhance(1 + v)),
    "contrast": (FACTORS, lambda image, v: ImageEnhance.Contrast(image).enhance(1 + v)),
    "sharpness": (FACTORS, lambda image, v: ImageEnhance.Sharpness(image).enhance(1 + v)),
    "posterize": ([0, 1, 2, 3, 4, 4], lambda image, v: ImageOps.posterize(image, 8 - v)),
    "solarize": ([0, 1, 28.4, 128, 200.1, 256], lambda image, v: ImageOps.solarize(image, 256 - v)),
    "autocontrast": ([0] * 6, lambda image, v: ImageOps.autocontrast(image)),
    "equalize": ([0] * 6, lambda image, v: ImageOps.equalize(image)),
    "invert": ([0] * 6, lambda image, v: ImageOps.invert(image)),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry_takes_the_same_pixels(name, channels):
    pixels = pictures(channels)
    amounts, change = GEOMETRY[name]
    ours = OPERATIONS[name].change(pixels, torch.tensor(amounts, dtype=torch.float64), FILL)
    assert torch.equal(ours, by_pillow(change, pixels, amounts))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_the_same_levels(name, channels):
    amounts, change = COLOURS[name]
    # Every image with every amount: what an operation does depends on the image's levels.
    pixels = pictures(channels).repeat_interleave(6, 0)
    amounts = amounts * 6
    ours = OPERATIONS[name].change(pixels, torch.tensor(amounts, dtype=torch.float64), FILL)
    assert ours.dtype == torch.uint8
    assert torch.equal(ours, by_pillow(change, pixels, amounts))


@pytest.mark.parametrize("name", ["autocontrast", "equalize", "contrast"])
def test_what_depends_on_the_levels_is_the_same_for_many_images(name):
    for trial in range(150):
        size = (1, 3, int(RNG.integers(1, 40)), int(RNG.integers(1, 40)))
        low = RNG.integers(0, 200)
        pixels = torch.from_numpy(RNG.integers(low, RNG.integers(low + 1, 257), size, dtype=np.uint8))
        amounts, change = COLOURS[name]
        amount = amounts[trial % 6]
        ours = OPERATIONS[name].change(pixels, torch.tensor([amount], dtype=torch.float64), FILL)
        assert torch.equal(ours, by_pillow(change, pixels, [amount]))


def test_every_operation_is_compared():
    assert {*GEOMETRY, *COLOURS} == set(NAMES)


def test_grey_is_pillows():
    pixels = pictures(3)
    assert torch.equal(colours.grey(pixels), by_pillow(lambda image, _: image.convert("L"), pixels, [0] * 6))


def test_any_matrix_takes_the_same_pixels():
    pixels = pictures(3, 20, 20)
    turned = [(0.9, 0.31, -2.5, -0.2, 1.1, 3.25), (1.5, 0, 0.5, 0, 0.7, -1), (1, 0.5, -40, 0, 1, 0)] * 2
    ours = geometry.affine(pixels, torch.tensor(turned, dtype=torch.float64), FILL)
    assert torch.equal(ours, by_pillow(moved(lambda image, v: v), pixels, turned))


def test_resized_parts_are_pillows_bilinear_ones():
    pixels = pictures(3, 32, 32)
    boxes = [(0, 0, 32, 32), (3, 5, 20, 11), (31, 31, 1, 1), (0, 20, 17, 12), (8, 8, 9, 24), (10, 1, 2, 30)]
    top, left, rows, columns = torch.tensor(boxes, dtype=torch.float64).T
    ours = cropping.resized_parts(pixels, top, left, rows, columns)

    def cropped(image, box):
        y, x, h, w = box
        return image.crop((x, y, x + w, y + h)).resize(image.size, Image.Resampling.BILINEAR)

    theirs = by_pillow(cropped, pixels, boxes)
    # Pillow's weights are fixed-point numbers: a sum next to a half may fall to the other side, in either pass.
    assert int((ours.int() - theirs.int()).abs().max()) <= 1
    assert (ours != theirs).float().mean() < 0.01
    assert torch.equal(ours[0], pixels[0])


def test_each_image_gets_its_own_operation():
    pixels = pictures(3, count=len(NAMES) + 6)[: len(NAMES) + 1]
    chosen = torch.tensor([NOTHING, *(number(name) for name in NAMES)])
    strengths = torch.full((len(chosen),), -0.5, dtype=torch.float64)
    before = pixels.clone()
    mixed = apply_each(pixels, chosen, strengths, FILL)
    assert torch.equal(pixels, before), "the caller's images are left alone"
    assert torch.equal(mixed[0], pixels[0])
    for row, (name, operation) in enumerate(OPERATIONS.items(), start=1):
        amount = operation.amount * (-0.5 if operation.signed else 0.5)
        change = {**GEOMETRY, **COLOURS}[name][1]
        if name == "posterize":
            amount = int(amount)
        assert torch.equal(mixed[row : row + 1], by_pillow(change, pixels[row : row + 1], [amount])), name


@pytest.mark.parametrize("name", [name for name, row in OPERATIONS.items() if row.amount])
def test_strength_nought_changes_nothing(name):
    pixels = pictures(3)
    unchanged = apply_each(pixels, torch.full((6,), number(name)), torch.zeros(6, dtype=torch.float64), FILL)
    assert torch.equal(unchanged, pixels)


@pytest.mark.parametrize("name", NAMES)
def test_small_and_odd_sizes(name):
    # Pillow does not smooth images below 3 x 3 either.
    for height, width in ((1, 1), (2, 5), (3, 3), (7, 1)):
        pixels = torch.from_numpy(RNG.integers(0, 256, (6, 3, height, width), dtype=np.uint8))
        amounts, change = {**GEOMETRY, **COLOURS}[name]
        ours = OPERATIONS[name].change(pixels, torch.tensor(amounts, dtype=torch.float64), FILL)
        assert torch.equal(ours, by_pillow(change, pixels, amounts)), (height, width)


def test_angles_near_the_fast_paths_of_pillow():
    pixels = pictures(3, 15, 15)
    amounts = [1e-9, -1e-9, math.pi, 29.999999, -0.5, 12.345678]
    ours = geometry.rotate(pixels, torch.tensor(amounts, dtype=torch.float64), FILL)
    assert torch.equal(ours, by_pillow(GEOMETRY["rotate"][1], pixels, amounts))
