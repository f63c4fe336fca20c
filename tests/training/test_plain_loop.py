"""The first training loop of this package, written out plainly: `train` still gives its weights, bit for bit."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, pad

from snn_energy.models import SpikingCNN, fold, load_checkpoint, snap
from snn_energy.models.snapping import snapped_parameters
from snn_energy.training import Recipe, find_recipe, load_images, train

# What release 0.1 gave for the recipe digits-cnn, on one thread.
DIGITS_LOSS = [2.0223, 0.8441, 0.4174, 0.2693, 0.1974, 0.203, 0.1663, 0.1389]
DIGITS_LOSS += [0.1204, 0.1188, 0.1116, 0.093, 0.0899, 0.0886, 0.0975, 0.0915, 0.0773]
DIGITS_CORRECT = (346, 345)


def shifted(pixels, generator, shift, flip):
    """Pad by `shift`, then cut the old size out at random, one image at a time."""
    n, _, height, width = pixels.shape
    down, right = torch.randint(0, 2 * shift + 1, (2, n, 1), generator=generator)
    mirrored = torch.randint(0, 2, (n, 1), generator=generator, dtype=torch.bool) if flip else torch.zeros(n, 1)
    out = []
    for image, y, x, turn in zip(pad(pixels, (shift,) * 4), down, right, mirrored, strict=True):
        window = image[:, int(y) : int(y) + height, int(x) : int(x) + width]
        out.append(window.flip(-1) if turn else window)
    # One channel lies in memory as the fancy indexing of that loop left it, which decides how convolutions round.
    return torch.stack(out).reshape(n, height, width, 1).movedim(-1, 1)


def plain_training(images, *, widths, steps, epochs, batch, shift, flip=False, smoothing=0.0, snap_epochs=1):
    torch.manual_seed(0)
    model = SpikingCNN(1, 10, 8, widths=widths, time_steps=steps)
    batches = math.ceil(len(images) / batch)
    for epoch in range(epochs + snap_epochs):
        if epoch in (0, epochs):
            model = model if epoch == 0 else fold(model)
            weights = [p for p in model.parameters() if p.dim() > 1]
            others = [p for p in model.parameters() if p.dim() == 1]
            optimizer = torch.optim.SGD(
                [{"params": weights, "weight_decay": 5e-4}, {"params": others}], lr=0.1, momentum=0.9, nesterov=True
            )
        generator = torch.Generator().manual_seed(epoch)
        order = torch.randperm(len(images), generator=generator)
        model.train()
        for i, chosen in enumerate(order.split(batch)):
            x = shifted(images.images[chosen], generator, shift, flip).float() / 256
            if epoch >= epochs:
                share = ((epoch - epochs) * batches + i) / (snap_epochs * batches)
                rate = 0.01 * 0.5 * (1 + math.cos(math.pi * share))
                logits = torch.func.functional_call(model, snapped_parameters(model, 8), (x,))
            else:
                share = ((epoch - 1) * batches + i) / max(1, (epochs - 1) * batches)
                rate = 0.1 * (i + 1) / batches if epoch == 0 else 0.1 * 0.5 * (1 + math.cos(math.pi * share))
                logits = model(x)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            cross_entropy(logits, images.labels[chosen], label_smoothing=smoothing).backward()
            optimizer.step()
    return (snap(model) if snap_epochs else model.eval()).state_dict()


@pytest.fixture(autouse=True)
def _own_random_numbers():
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.mark.parametrize("flip", [False, True])
def test_same_weights_as_the_plain_loop(tmp_path, flip):
    shape = {"model_args": {"widths": [12, 16]}, "time_steps": 2, "epochs": 2, "batch_size": 64}
    recipe = Recipe(
        dataset="digits", **shape, label_smoothing=0.1, augmentation={"shift_pixels": 1, "flip": flip}, snap_epochs=1
    )
    got = load_checkpoint(train(recipe, out=tmp_path / "a.pt").path).model.state_dict()
    expected = plain_training(
        load_images("digits", "train"), widths=(12, 16), steps=2, epochs=2, batch=64, shift=1, flip=flip, smoothing=0.1
    )
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[name], expected[name]) for name in got)


@pytest.mark.slow
def test_digits_recipe_gives_the_recorded_figures(tmp_path):
    # Spikes turn the last bit of a sum into another path, so on another machine the figures are near, not equal.
    result = train(find_recipe("digits-cnn"), out=tmp_path / "a.pt")
    assert [entry["loss"] for entry in result.history] == pytest.approx(DIGITS_LOSS, abs=0.06)
    for got, recorded in zip((result.evaluation.correct, result.snapped.correct), DIGITS_CORRECT, strict=True):
        assert abs(got - recorded) <= 8, "of 360"
