"""Augmentation as a recipe asks for it: laws, distributions, settings, and random numbers drawn as ever."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from snn_energy.errors import DataError, UsageError
from snn_energy.training.augmentation import Augmentation, make_augmentation
from snn_energy.training.augmentation.cropping import cutout, random_resized_crop
from snn_energy.training.augmentation.operations import NAMES, NOTHING, OPERATIONS
from snn_energy.training.augmentation.policies import AUTOAUGMENT_CIFAR10, RANDAUGMENT, colour_jitter, randaugment

FULL = {
    "shift_pixels": 2,
    "flip": True,
    "random_resized_crop": [0.3, 1.0],
    "policy": "randaugment",
    "randaugment_ops": 3,
    "randaugment_magnitude": 12,
    "colour_jitter": 0.4,
    "cutout": 5,
    "fill": 100,
    "mixup": 0.2,
    "cutmix": 1.0,
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n=6, channels=3, height=12, width=10, seed=0):
    return torch.randint(0, 256, (n, channels, height, width), dtype=torch.uint8, generator=seeded(seed))


shapes = st.tuples(st.integers(1, 6), st.sampled_from([1, 3]), st.integers(3, 12), st.integers(3, 12))
seeds = st.integers(0, 2**31)


# -- laws ------------------------------------------------------------------------------------------------------------


@given(shapes, seeds)
def test_the_defaults_change_nothing_and_draw_nothing(shape, seed):
    pixels, generator = pictures(*shape), seeded(seed)
    before = generator.get_state()
    augmentation = make_augmentation({})
    x, labels = pixels.float(), torch.arange(shape[0])
    assert augmentation(pixels, generator) is pixels
    mixed = augmentation.mix(x, labels, 10, generator)
    assert mixed[0] is x
    assert mixed[1] is labels
    assert torch.equal(generator.get_state(), before)


@given(shapes, seeds)
def test_one_image_shifted_as_by_a_loop(shape, seed):
    pixels, shift = pictures(*shape), 3
    ours = make_augmentation({"shift_pixels": shift, "flip": True})(pixels, seeded(seed))
    # The order of the draws is part of the recipe: offsets of rows, of columns, then the coins.
    generator = seeded(seed)
    offsets = torch.randint(0, 2 * shift + 1, (2, shape[0], 1), generator=generator)
    coins = torch.randint(0, 2, (shape[0], 1), generator=generator, dtype=torch.bool)
    n, channels, height, width = shape
    for i in range(n):
        for row in range(height):
            for column in range(width):
                y = row + int(offsets[0, i]) - shift
                x = (width - 1 - column if coins[i] else column) + int(offsets[1, i]) - shift
                inside = 0 <= y < height and 0 <= x < width
                expected = pixels[i, :, y, x] if inside else torch.zeros(channels, dtype=torch.uint8)
                assert torch.equal(ours[i, :, row, column], expected)


@given(shapes, seeds)
def test_flipping_twice_is_not_flipping(shape, seed):
    pixels, augmentation = pictures(*shape), make_augmentation({"flip": True})
    once = augmentation(pixels, seeded(seed))
    assert torch.equal(augmentation(once, seeded(seed)), pixels)
    mirrored = (once == pixels.flip(3)).flatten(1).all(1) | (once == pixels).flatten(1).all(1)
    assert mirrored.all()


@given(shapes, seeds)
def test_nothing_strong_is_nothing(shape, seed):
    pixels = pictures(*shape)
    whole = make_augmentation({"random_resized_crop": [1.0, 1.0]})
    square = pixels[..., : min(shape[2:]), : min(shape[2:])]
    # All of the area fits into the image only as a square of its size.
    assert torch.equal(whole(square, seeded(seed)), square)
    assert torch.equal(colour_jitter(pixels, seeded(seed), 0.0), pixels)
    assert torch.equal(cutout(pixels, seeded(seed), 0, 128), pixels)


@given(shapes, seeds, st.sampled_from(["autoaugment-cifar10", "randaugment", None]))
def test_shape_type_and_input_stay(shape, seed, policy):
    settings = {key: value for key, value in FULL.items() if not key.startswith("randaugment")} | {"policy": policy}
    pixels = pictures(*shape)
    before = pixels.clone()
    changed = make_augmentation(settings)(pixels, seeded(seed))
    assert (changed.shape, changed.dtype) == (pixels.shape, torch.uint8)
    assert torch.equal(pixels, before)
    assert changed.data_ptr() != pixels.data_ptr()


@limits(max_examples=20)
@given(seeds)
def test_everything_comes_from_the_generator(seed):
    pixels, augmentation = pictures(16), make_augmentation(FULL)
    results = []
    for other in (0, 1):
        torch.manual_seed(other)
        generator = seeded(seed)
        changed = augmentation(pixels, generator)
        mixed, targets = augmentation.mix(changed.float(), torch.arange(16) % 5, 5, generator)
        results.append((changed, mixed, targets, generator.get_state()))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@limits(max_examples=20)
@given(seeds, st.sampled_from(["autoaugment-cifar10", "randaugment"]))
def test_mixed_precision_around_it_changes_nothing(seed, policy):
    pixels = pictures(16, seed=seed)
    settings = {key: value for key, value in FULL.items() if not key.startswith("randaugment")} | {"policy": policy}
    augmentation, x = make_augmentation(settings), pixels.float() / 255
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = augmentation(pixels, seeded(seed)), *augmentation.mix(x, torch.arange(16) % 5, 5, seeded(seed))
    whole = augmentation(pixels, seeded(seed)), *augmentation.mix(x, torch.arange(16) % 5, 5, seeded(seed))
    assert all(torch.equal(a, b) for a, b in zip(reduced, whole, strict=True))


@given(shapes, seeds, st.sampled_from(["mixup", "cutmix"]), st.floats(0.05, 5))
def test_soft_labels_sum_to_one_and_say_what_is_in_the_image(shape, seed, kind, alpha):
    n = shape[0]
    # Image i is of the level 2^i: the mixture tells how much of which image it holds.
    x = (2.0 ** torch.arange(n))[:, None, None, None].expand(shape).clone()
    labels = torch.arange(n)
    mixed, targets = make_augmentation({kind: alpha}).mix(x, labels, n, seeded(seed))
    assert mixed.shape == x.shape
    assert targets.shape == (n, n)
    assert targets.dtype == torch.float32
    assert torch.allclose(targets.sum(1), torch.ones(n))
    assert (targets >= 0).all()
    # Both the area and the blend are linear in the levels.
    assert torch.allclose(mixed.mean((1, 2, 3)), targets @ (2.0 ** torch.arange(n)), rtol=1e-4)
    if kind == "cutmix":
        assert {float(v) for v in mixed.unique()} <= {float(v) for v in x.unique()}, "pixels are moved, not blended"
        area = (mixed == x).all(1).float().mean((1, 2))
        assert torch.allclose(targets.diagonal(), area, atol=1e-6)


# -- distributions ---------------------------------------------------------------------------------------------------


def within(count, trials, probability):
    """Whether a count is within 5 standard deviations of its mean: it is not by chance once in two million."""
    return abs(count - trials * probability) <= 5 * math.sqrt(trials * probability * (1 - probability))


def test_shifts_and_flips_are_even():
    n = 20_000
    pixels = torch.zeros(n, 1, 7, 7, dtype=torch.uint8)
    pixels[:, 0, 3, 3] = 255
    shifted = make_augmentation({"shift_pixels": 2})(pixels, seeded())
    places = shifted.flatten(1).int().argmax(1).bincount(minlength=49).view(7, 7)
    assert int(places[1:6, 1:6].sum()) == n
    assert all(within(int(count), n, 1 / 25) for count in places[1:6, 1:6].flatten())
    pixels[:, 0, 3, 5] = 100
    flipped = make_augmentation({"flip": True})(pixels, seeded())
    assert within(int((flipped[:, 0, 3, 1] == 100).sum()), n, 1 / 2)


def test_cutout_falls_anywhere():
    n, side = 20_000, 3
    cut = cutout(torch.zeros(n, 2, 6, 8, dtype=torch.uint8), seeded(), side, 9)
    assert torch.equal(cut[:, 0], cut[:, 1])
    hit = (cut[:, 0] == 9).sum(0)
    # A pixel is hit from the 3 x 3 middles around it that lie in the image, out of 6 x 8.
    for row in range(6):
        for column in range(8):
            middles = (min(row + 1, 5) - max(row - 1, 0) + 1) * (min(column + 1, 7) - max(column - 1, 0) + 1)
            assert within(int(hit[row, column]), n, middles / 48)


def test_an_even_square_lies_around_its_middle():
    cut = cutout(torch.zeros(500, 1, 20, 20, dtype=torch.uint8), seeded(), 4, 1)
    assert int((cut == 1).sum((1, 2, 3)).max()) == 16
    assert int((cut == 1).sum((1, 2, 3)).min()) == 4, "middle in the corner 0, 0: from -2 to 1"


def test_the_policy_takes_each_sub_policy_with_its_odds():
    # A flat image of level 200: what each step does to it is worked out by hand below.
    n = 50_000
    pixels = torch.full((n, 1, 1, 1), 200, dtype=torch.uint8)
    changed = make_augmentation({"policy": "autoaugment-cifar10", "fill": 7})(pixels, seeded()).flatten()
    # Inverted, and not solarised as well: sub-policies 1 (0.1; the contrast of a flat image stays) and 24 (0.1),
    # 21 (solarise 5 of 9, threshold 113: 0.4), 19 (8 of 9, threshold 28: 0.2) and 23 (3 of 9, threshold 170: 0.8).
    # Sub-policy 15 solarises at 2 of 9, threshold 199.1: also 200 is inverted, 0.5. A one-pixel image is not moved by
    # less than a pixel; rotation keeps its middle.
    odds = (0.1 + 0.1 + 0.4 + 0.2 + 0.8 + 0.5) / 25
    assert within(int((changed == 55).sum()), n, odds)


def test_randaugment_draws_14_operations_evenly():
    assert len(RANDAUGMENT) == 14
    assert NOTHING in RANDAUGMENT
    assert {NAMES[row] for row in RANDAUGMENT if row != NOTHING} == {*NAMES} - {"invert"}
    n = 30_000
    pixels = torch.full((n, 1, 1, 1), 200, dtype=torch.uint8)
    # Solarising at 30 of 30 inverts 200, posterising keeps 192; brightness makes 255 or 20 of it; nothing else
    # touches a flat image of one pixel that is not moved by a whole one.
    changed = randaugment(pixels, seeded(), 7, 1, 30).flatten()
    for level, odds in ((55, 1 / 14), (192, 1 / 14), (255, 1 / 28)):
        assert within(int((changed == level).sum()), n, odds), level
    dark = int(((changed == 19) | (changed == 20)).sum())  # 200 (1 - 0.9), cut to an integer
    assert within(dark, n, 1 / 28)
    assert within(int((changed == 200).sum()), n, 11 / 14)


def test_crops_have_the_asked_area():
    # Columns hold their own number times 8: an enlarged part has the range of the columns it was cut from.
    n, size = 4_000, 32
    pixels = (torch.arange(size, dtype=torch.uint8) * 8).expand(n, 1, size, size).contiguous()
    cropped = random_resized_crop(pixels, seeded(), (0.25, 0.25)).int()
    widths = (cropped.amax((1, 2, 3)) - cropped.amin((1, 2, 3))) / 8 + 1
    # A quarter of 1,024 pixels with a width of 3/4 to 4/3 of the height: from sqrt(256 * 3/4) to sqrt(256 * 4/3).
    assert int(widths.min()) == round(math.sqrt(256 * 3 / 4))
    assert int(widths.max()) == round(math.sqrt(256 * 4 / 3))
    # The logarithm of the ratio is even: half of the widths lie below 16, but for rounding.
    assert within(int((widths < 16).sum() + (widths == 16).sum() / 2), n, 0.5)


def test_jitter_takes_factors_on_both_sides_in_every_order():
    n = 20_000
    pixels = torch.full((n, 1, 1, 1), 100, dtype=torch.uint8)  # flat and grey: brightness alone changes it
    changed = colour_jitter(pixels, seeded(), 0.5).flatten().int()
    assert int(changed.min()) == 50
    assert int(changed.max()) == 149, "100 times just below 1.5, cut"
    assert within(int((changed < 100).sum()), n, 0.5)
    # Brightness before colour is not colour before brightness where white is reached.
    bright = torch.tensor([250, 10, 128], dtype=torch.uint8)[None, :, None, None].expand(n, 3, 2, 2)
    assert len(colour_jitter(bright.contiguous(), seeded(), 0.5).flatten(1).unique(dim=0)) > n / 4


def test_mixing_weights_are_from_the_beta_distribution():
    n, alpha = 4_000, 0.4
    x = torch.zeros(n, 1, 2, 2)
    labels = torch.zeros(n, dtype=torch.int64)
    labels[1::2] = 1
    _, targets = make_augmentation({"mixup": alpha}).mix(x, labels, 2, seeded())
    # Where the partner has the other label, the target shows l. Var Beta(a, a) = 1 / (4 (2 a + 1)); its mean is 1/2.
    shown = targets[(targets > 0).all(1)]
    share = shown[:, 0]
    deviation = math.sqrt(1 / (4 * (2 * alpha + 1)))
    assert len(share) > n / 3
    assert abs(float(share.mean()) - 0.5) < 5 * deviation / math.sqrt(len(share))
    assert float(share.std()) == pytest.approx(deviation, rel=0.05)


def test_both_mixtures_take_turns():
    x, labels = torch.rand(8, 1, 6, 6, generator=seeded()), torch.arange(8)
    augmentation, generator = make_augmentation({"mixup": 1.0, "cutmix": 1.0}), seeded()
    blended = 0
    for _ in range(400):
        mixed, _ = augmentation.mix(x, labels, 8, generator)
        blended += not set(mixed.flatten().tolist()) <= set(x.flatten().tolist())
    assert within(blended, 400, 0.5)


# -- the table -------------------------------------------------------------------------------------------------------


def test_the_policy_has_the_papers_numbers():
    assert len(AUTOAUGMENT_CIFAR10) == 25
    steps = [step for row in AUTOAUGMENT_CIFAR10 for step in row]
    assert all(name in OPERATIONS and 0 <= odds < 1 and 0 <= level <= 9 for name, odds, level in steps)
    # Sums over Table 7, added up by hand: probabilities, and how often each operation occurs.
    assert sum(odds for _, odds, _ in steps) == pytest.approx(26.5)
    counts = {name: sum(step[0] == name for step in steps) for name in OPERATIONS}
    assert counts == {
        "shear_x": 0,
        "shear_y": 2,
        "translate_x": 2,
        "translate_y": 5,
        "rotate": 1,
        "brightness": 4,
        "colour": 5,
        "contrast": 2,
        "sharpness": 5,
        "posterize": 1,
        "solarize": 4,
        "autocontrast": 7,
        "equalize": 9,
        "invert": 3,
    }


# -- settings --------------------------------------------------------------------------------------------------------


def test_settings_go_there_and_back():
    augmentation = make_augmentation(FULL)
    assert augmentation.to_plain() == FULL
    assert make_augmentation(augmentation.to_plain()) == augmentation
    plain = make_augmentation({"shift_pixels": 2}).to_plain()
    assert plain["shift_pixels"] == 2
    assert "policy" not in plain
    assert make_augmentation(plain) == Augmentation(shift_pixels=2)
    drawn = make_augmentation({"policy": "randaugment"})
    assert (drawn.randaugment_ops, drawn.randaugment_magnitude) == (2, 9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shift_pixel": 2}, "unknown augmentation setting 'shift_pixel': did you mean 'shift_pixels'"),
        ({"policy": "autoaugment"}, "unknown augmentation policy 'autoaugment': did you mean 'autoaugment-cifar10'"),
        ({"policy": 3}, "unknown augmentation policy 3"),
        ({"shift_pixels": -1}, r"shift_pixels must be an integer from 0 \(got -1\)"),
        ({"shift_pixels": 1.5}, r"shift_pixels must be an integer from 0 \(got 1.5\)"),
        ({"shift_pixels": None}, r"shift_pixels must be an integer from 0 \(got None\)"),
        ({"flip": 1}, r"flip must be true or false \(got 1\)"),
        ({"colour_jitter": 1.1}, r"colour_jitter must be a number from 0 to 1 \(got 1.1\)"),
        ({"colour_jitter": True}, r"colour_jitter must be a number from 0 to 1 \(got True\)"),
        ({"fill": 256}, r"fill must be an integer from 0 to 255 \(got 256\)"),
        ({"mixup": math.inf}, r"mixup must be a number from 0 \(got inf\)"),
        ({"cutmix": math.nan}, r"cutmix must be a number from 0 \(got nan\)"),
        ({"random_resized_crop": 0.5}, r"random_resized_crop must be two numbers from 0 to 1.* \(got 0.5\)"),
        ({"random_resized_crop": [0.5, 1.5]}, r"random_resized_crop must be two numbers from 0 to 1"),
        ({"random_resized_crop": [0.9, 0.5]}, r"two shares, 0 < least <= largest \(got \[0.9, 0.5\]\)"),
        ({"random_resized_crop": [0, 1]}, r"two shares, 0 < least <= largest \(got \[0, 1\]\)"),
        ({"randaugment_ops": 2}, r'randaugment_ops belongs to policy = "randaugment" \(got policy None\)'),
        ({"policy": "randaugment", "randaugment_magnitude": 31}, "magnitude must be an integer from 0 to 30"),
        ({"policy": "randaugment", "randaugment_ops": 0}, "randaugment_ops must be an integer from 1"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(UsageError, match=message) as caught:
        make_augmentation(settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "pixels", "message"),
    [
        ({"flip": True}, torch.zeros(2, 1, 4, 4), r"expected 8-bit pixels \[N, C, H, W\] \(got float32"),
        ({"flip": True}, torch.zeros(1, 4, 4, dtype=torch.uint8), r"\(got uint8 \[1, 4, 4\]\)"),
        ({"colour_jitter": 0.1}, torch.zeros(2, 2, 4, 4, dtype=torch.uint8), r"work on 1 or 3 channels \(got 2\)"),
    ],
)
def test_pixels_that_cannot_be_augmented(settings, pixels, message):
    with pytest.raises(DataError, match=message):
        make_augmentation(settings)(pixels, seeded())
