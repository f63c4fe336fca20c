"""Training on the digits: it learns, repeats itself bit by bit, and goes on exactly where it stopped."""

import json
import math
from dataclasses import replace

import pytest
import torch

from snn_energy.errors import CheckpointError, DataError, UsageError
from snn_energy.models import SpikingCNN, load_checkpoint
from snn_energy.models.inputs import unit_pixels
from snn_energy.training import (
    BatchDone,
    EpochDone,
    EvaluationProgress,
    ImageSet,
    Recipe,
    TrainingError,
    TrainingStarted,
    evaluate,
    find_recipe,
    load_images,
    recipe_names,
    state_path,
    train,
)
from snn_energy.training.augmentation.shifting import shift_and_flip
from snn_energy.training.schedule import learning_rate_at

SMALL = Recipe(
    dataset="digits",
    model_args={"widths": [12, 16]},
    epochs=2,
    batch_size=64,
    time_steps=2,
    augmentation={"shift_pixels": 1},
)


class Interrupt:
    """A listener that stops the training like Ctrl-C, at batch `batch` of epoch `epoch`."""

    def __init__(self, epoch, batch):
        self.at = (epoch, batch)

    def __call__(self, event):
        if isinstance(event, BatchDone) and (event.epoch, event.batch) == self.at:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    events = []
    out = tmp_path_factory.mktemp("train") / "digits.pt"
    result = train(SMALL, out=out, progress=events.append, command="the command")
    return result, events


def weights(path):
    return load_checkpoint(path).model.state_dict()


def content(path):
    """A checkpoint but for the seconds that its training took: weights as bytes, and the record."""
    payload = torch.load(path, weights_only=True)
    del payload["training"]["seconds"]
    state = payload.pop("state")
    return {name: (value.dtype, value.numpy().tobytes()) for name, value in state.items()}, payload


def assert_same_weights(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_it_learns_and_writes_a_checkpoint_with_its_record(finished):
    result, _ = finished
    assert result.evaluation.accuracy > 0.6, "a tenth would be chance"
    assert result.snapped.accuracy > 0.6
    assert result.history[1]["loss"] < result.history[0]["loss"]
    checkpoint = load_checkpoint(result.path)
    assert checkpoint.dataset == "digits"
    assert checkpoint.time_steps == 2
    assert checkpoint.input == unit_pixels(1, 8, 8)
    again = evaluate(checkpoint.model, load_images("digits"), checkpoint.input, batch_size=77)
    record = checkpoint.training
    assert again == result.snapped
    assert (record["test_correct"], record["test_total"]) == (again.correct, 360)
    assert record["test_accuracy"] == again.accuracy
    assert record["recipe"] == json.loads(json.dumps(SMALL.to_plain()))
    assert (record["seed"], record["epochs"], record["command"]) == (0, 3, "the command")
    assert record["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert not state_path(result.path).exists()
    assert sorted(p.name for p in result.path.parent.iterdir()) == ["digits.pt", "digits.pt.csv"]


def test_events_tell_the_whole_story(finished):
    _, events = finished
    started, *rest = events
    assert started == TrainingStarted(first_epoch=1, epochs=3, batches=23, samples=1437, parameters=started.parameters)
    batches = [(e.epoch, e.batch) for e in rest if isinstance(e, BatchDone)]
    assert batches == [(epoch, batch) for epoch in (1, 2, 3) for batch in range(1, 24)]
    assert [(e.epoch, e.phase) for e in rest if isinstance(e, EpochDone)] == [
        (1, "train"),
        (2, "train"),
        (3, "snap"),
    ]
    ends = [(e.what, e.done) for e in rest if isinstance(e, EvaluationProgress) and e.done == e.total]
    assert ends == [("float", 360), ("snapped", 360)]


def test_same_seed_same_weights_other_seed_other_weights(finished, tmp_path):
    result, _ = finished
    torch.manual_seed(99)  # the caller's generator must not matter, nor be moved
    before = torch.get_rng_state()
    again = train(SMALL, out=tmp_path / "again.pt", command="the command")
    assert torch.equal(before, torch.get_rng_state())
    assert_same_weights(weights(result.path), weights(again.path))
    assert content(again.path) == content(result.path)
    other = train(replace(SMALL, epochs=1, snap_epochs=0, seed=1), out=tmp_path / "other.pt")
    assert not torch.equal(weights(other.path)["head.weight"], weights(again.path)["head.weight"])


@pytest.mark.parametrize(("epoch", "batch"), [(1, 3), (2, 1), (3, 5)])
def test_resumed_equals_uninterrupted(finished, tmp_path, epoch, batch):
    result, _ = finished
    out = tmp_path / "digits.pt"
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, out=out, progress=Interrupt(epoch, batch))
    assert not out.exists()
    assert torch.load(state_path(out), weights_only=True)["epoch"] == epoch - 1
    with pytest.raises(UsageError, match="an unfinished training is here; resume it, or delete"):
        train(SMALL, out=out)
    events = []
    train(SMALL, out=out, resume=True, progress=events.append, command="the command")
    assert events[0].first_epoch == epoch
    assert content(out) == content(result.path)
    assert not state_path(out).exists()


def test_resume_errors(tmp_path):
    out = tmp_path / "digits.pt"
    with pytest.raises(UsageError, match=r"digits.pt.resume: no unfinished training to resume"):
        train(SMALL, out=out, resume=True)
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, out=out, progress=Interrupt(1, 1))
    with pytest.raises(UsageError, match=r"begun with learning_rate = 0.1 \(got 0.2\); resume with the same"):
        train(replace(SMALL, learning_rate=0.2), out=out, resume=True)
    whole = state_path(out).read_bytes()
    state_path(out).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="damaged or foreign training state"):
        train(SMALL, out=out, resume=True)
    torch.save({"a": 1}, state_path(out))
    with pytest.raises(CheckpointError, match="not a training state of this package"):
        train(SMALL, out=out, resume=True)


def test_nothing_is_written_when_the_request_is_wrong(tmp_path):
    with pytest.raises(UsageError, match=r"must end in \.pt or \.safetensors"):
        train(SMALL, out=tmp_path / "digits.bin")
    with pytest.raises(UsageError, match="unknown data set 'nope'"):
        train(Recipe(dataset="nope"), out=tmp_path / "a.pt")
    with pytest.raises(UsageError, match="unknown model 'nope'"):
        train(Recipe(dataset="digits", model="nope"), out=tmp_path / "a.pt")
    with pytest.raises(UsageError, match="wide"):
        train(Recipe(dataset="digits", model_args={"wide": 3}), out=tmp_path / "a.pt")
    with pytest.raises(UsageError, match="no folder"):
        train(SMALL, out=tmp_path / "no" / "a.pt")
    assert list(tmp_path.iterdir()) == []


def test_without_snapping_the_batch_norms_stay(tmp_path):
    result = train(replace(SMALL, epochs=1, snap_bits=None), out=tmp_path / "a.safetensors")
    assert result.snapped is None
    checkpoint = load_checkpoint(result.path)
    assert not checkpoint.model.folded
    assert checkpoint.training["test_correct"] == result.evaluation.correct


def test_divergence_is_an_error_and_leaves_no_checkpoint(tmp_path):
    with pytest.raises(TrainingError, match=r"loss (nan|inf) in epoch .*; lower learning_rate \(it is 1e\+30\)"):
        train(replace(SMALL, learning_rate=1e30, warmup_epochs=0), out=tmp_path / "a.pt")
    assert not (tmp_path / "a.pt").exists()


def test_evaluation_counts_and_restores_the_mode():
    images = load_images("digits", limit=50)
    torch.manual_seed(0)
    model = SpikingCNN(1, 10, 8, widths=(4,)).train()
    seen = []
    result = evaluate(model, images, unit_pixels(1, 8, 8), 20, lambda done, total: seen.append((done, total)))
    assert seen == [(20, 50), (40, 50), (50, 50)]
    assert model.training
    model.eval()
    with torch.no_grad():
        expected = (model(unit_pixels(1, 8, 8).apply(images.images)).argmax(1) == images.labels).sum()
    assert (result.correct, result.total) == (int(expected), 50)
    bare = ImageSet(images=images.images, labels=None, classes=(), name="x", split="test", source="x")
    with pytest.raises(DataError, match="x: accuracy needs labels"):
        evaluate(model, bare, unit_pixels(1, 8, 8))


def test_augmentation_moves_whole_images_over_black():
    pixels = torch.zeros(200, 2, 5, 7, dtype=torch.uint8)
    pixels[:, 0, 2, 3], pixels[:, 1, 2, 4] = 7, 9
    moved = shift_and_flip(pixels, torch.Generator().manual_seed(0), 2, False)
    assert moved.dtype == torch.uint8
    assert moved.shape == pixels.shape
    first, second = (moved[:, 0] == 7).nonzero(), (moved[:, 1] == 9).nonzero()
    assert torch.equal(second - first, torch.tensor([0, 0, 1]).expand(200, 3)), "channels move together"
    assert set((first[:, 1] - 2).tolist()) == set((first[:, 2] - 3).tolist()) == {-2, -1, 0, 1, 2}
    flipped = shift_and_flip(pixels, torch.Generator().manual_seed(0), 0, True)
    columns = (flipped[:, 1] == 9).nonzero()[:, 2]
    assert set(columns.tolist()) == {4, 2}
    same = shift_and_flip(pixels, torch.Generator().manual_seed(0), 0, False)
    assert torch.equal(same, pixels)


def test_learning_rate_schedule():
    recipe = Recipe(dataset="digits", epochs=4, warmup_epochs=1, snap_epochs=2, snap_learning_rate=0.02)
    rates = [learning_rate_at(recipe, step, 10) for step in range(60)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) / 10 for i in range(10)])
    assert rates[10:40] == pytest.approx([0.05 * (1 + math.cos(math.pi * i / 30)) for i in range(30)])
    assert rates[40:] == pytest.approx([0.01 * (1 + math.cos(math.pi * i / 20)) for i in range(20)])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 0, r"epochs must be an integer from 1 \(got 0\)"),
        ("batch_size", 1.5, r"batch_size must be an integer from 2 \(got 1.5\)"),
        ("momentum", 2, r"momentum must be a number from 0 to 1 \(got 2\)"),
        ("learning_rate", math.nan, r"learning_rate must be a number from 0 \(got nan\)"),
        ("snap_bits", 16, r"snap_bits must be an integer from 2 to 8 \(got 16\)"),
        ("seed", True, r"seed must be an integer from 0 to .* \(got True\)"),
    ],
)
def test_recipe_ranges(field, value, message):
    with pytest.raises(UsageError, match=message):
        Recipe(dataset="digits", **{field: value})


def test_recipes_by_name():
    assert "fashion-cnn" in recipe_names()
    assert find_recipe("fashion-cnn").label_smoothing == 0.05
    with pytest.raises(UsageError, match="unknown recipe 'fashion': did you mean 'fashion-cnn'"):
        find_recipe("fashion")
