"""The parts of a training step, each against its formula, and what a recipe's options do to a whole training."""

import csv
import math
import sys
import types
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from snn_energy.errors import DataError, UsageError
from snn_energy.models import SpikingCNN, build, load_checkpoint
from snn_energy.training import (
    BatchDone,
    EpochDone,
    EvaluationProgress,
    Recipe,
    StatefulPenalty,
    evaluate,
    load_images,
    log_path,
    state_path,
    train,
)
from snn_energy.training.batches import Batch
from snn_energy.training.distributed import World
from snn_energy.training.ema import WeightAverage
from snn_energy.training.learner import Learner, Tally
from snn_energy.training.optimizer import make_optimizer
from snn_energy.training.splits import load_splits

TINY = Recipe(dataset="digits", model_args={"widths": [6]}, epochs=2, batch_size=256, time_steps=2, snap_bits=None)
WINDOWED = Recipe(
    dataset="digits",
    model="windowed-cnn",
    model_args={"widths": [4, 8], "depths": [1, 1]},
    epochs=2,
    batch_size=256,
    time_steps=1,
    snap_bits=None,
)


@pytest.fixture(autouse=True)
def _own_random_numbers():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def network(**args):
    return build("spiking-cnn", in_channels=1, classes=10, image_size=8, widths=[6], time_steps=2, **args)


def batch(n=30, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(n, 1, 8, 8, generator=generator, dtype=dtype)
    return Batch(number=0, x=x, targets=torch.arange(n) % 10, generator=generator.get_state())


def stepped(recipe, model, rate=0.1, **batch_args):
    """The weights' changes in one step, by name."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    Learner(recipe, model, World()).step(0, batch(**batch_args), rate, Tally())
    return {name: p.detach() - before[name] for name, p in model.named_parameters()}


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_only_tensors_with_two_axes_decay(name, kind):
    model = network()
    optimizer = make_optimizer(replace(TINY, optimizer=name, weight_decay=0.03), model)
    assert type(optimizer) is kind
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    expected = {"blocks.0.conv.weight": 0.03, "head.weight": 0.03}
    assert {n: decays[id(p)] for n, p in model.named_parameters()} == {
        n: expected.get(n, 0.0) for n, _ in model.named_parameters()
    }


@pytest.mark.parametrize("warmup", [False, True])
def test_average_is_the_recursion(warmup):
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    tied = model[0].weight
    model.register_parameter("again", tied)  # a shared weight is averaged once
    values = [0.5, -1.0, 2.0, 3.5]
    tied.data.fill_(1.0)
    average, expected = WeightAverage(model, 0.6, warmup=warmup), 1.0
    for n, value in enumerate(values):
        tied.data.fill_(value)
        model[1].running_mean.fill_(-value)
        model[1].num_batches_tracked.fill_(n + 7)
        average.update(model)
        decay = min(0.6, (1 + n) / (10 + n)) if warmup else 0.6
        expected = decay * expected + (1 - decay) * value
    mean = average.model[0].weight.item()
    assert mean == pytest.approx(expected, rel=1e-6)
    assert average.model[1].num_batches_tracked == len(values) + 6
    assert not any(p.requires_grad for p in average.model.parameters())


def test_clipping_shortens_the_step_and_keeps_its_direction():
    recipe = replace(TINY, momentum=0.0, weight_decay=0.0)
    free = stepped(recipe, network().double(), dtype=torch.float64)
    torch.manual_seed(0)
    clipped = stepped(replace(recipe, clip_norm=1e-3), network().double(), dtype=torch.float64)
    length = math.sqrt(sum(float(change.square().sum()) for change in free.values()))
    assert length > 1e-3, "else nothing is clipped"
    for name, change in clipped.items():
        torch.testing.assert_close(change, free[name] * (0.1 * 1e-3 / length), rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("parts", [2, 7])
def test_accumulated_parts_are_one_batch(parts):
    torch.manual_seed(0)
    whole = stepped(TINY, network(folded=True).double(), dtype=torch.float64)
    torch.manual_seed(0)
    cut = stepped(replace(TINY, accumulate=parts), network(folded=True).double(), dtype=torch.float64)
    assert max(float(change.abs().max()) for change in whole.values()) > 1e-4
    for name, change in cut.items():
        torch.testing.assert_close(change, whole[name], rtol=1e-9, atol=1e-15)


def test_a_step_by_adamw_is_the_rate():
    # With no decay the first step of Adam is rate * g / (|g| + eps) for every weight that has a gradient.
    changes = stepped(replace(TINY, optimizer="adamw", weight_decay=0.0), network(), rate=0.01)
    moved = torch.cat([change.abs().flatten() for change in changes.values()])
    assert (moved > 0).float().mean() > 0.9
    assert float(moved.max()) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_near_and_weights_stay_float32(precision):
    torch.manual_seed(0)
    exact = stepped(TINY, network())
    torch.manual_seed(0)
    near = stepped(replace(TINY, precision=precision), network())
    assert all(change.dtype == torch.float32 for change in near.values())
    top, reference = near["head.weight"].flatten(), exact["head.weight"].flatten()
    assert not torch.equal(top, reference)
    assert float(torch.cosine_similarity(top, reference, 0)) > 0.95


def test_channels_last_is_the_same_training(tmp_path):
    recipe = replace(TINY, epochs=1, model_args={"widths": [6, 6]})
    results = [train(replace(recipe, channels_last=last), out=tmp_path / f"{last}.pt") for last in (False, True)]
    assert results[0].history[0]["loss"] == pytest.approx(results[1].history[0]["loss"], rel=0.05)
    saved = torch.load(results[1].path, weights_only=True)["state"]["blocks.1.conv.weight"]
    assert saved.is_contiguous()


def test_a_network_that_cannot_be_compiled(tmp_path, monkeypatch):
    def broken(model):
        def forward(x):
            raise RuntimeError("no compiler\nhere")

        return forward

    monkeypatch.setattr(torch, "compile", broken)
    message = r"compile = true, but torch.compile failed on spiking-cnn \(RuntimeError: no compiler\); set compile = f"
    with pytest.raises(UsageError, match=message):
        train(replace(TINY, compile=True), out=tmp_path / "a.pt")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, while it compiles
def test_compiled_training_saves_the_plain_names(tmp_path):
    recipe = replace(TINY, epochs=1)
    plain, compiled = (train(replace(recipe, compile=c), out=tmp_path / f"{c}.pt") for c in (False, True))
    assert compiled.history[0]["loss"] == pytest.approx(plain.history[0]["loss"], rel=0.05)
    states = [torch.load(result.path, weights_only=True)["state"] for result in (plain, compiled)]
    assert states[0].keys() == states[1].keys()


def test_held_out_samples_are_the_rest(tmp_path):
    recipe = replace(TINY, validation=200, seed=5)
    parts = load_splits(recipe)
    whole = load_images("digits", "train")
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (1237, 200, 360)
    rows = torch.cat([parts.train.images, parts.validation.images]).flatten(1)
    labels = torch.cat([parts.train.labels, parts.validation.labels])
    both = torch.cat([rows.int(), labels[:, None].int()], 1)
    expected = torch.cat([whole.images.flatten(1).int(), whole.labels[:, None].int()], 1)
    assert sorted(both.tolist()) == sorted(expected.tolist())
    assert parts.validation.labels.bincount(minlength=10).min() > 5, "drawn from everywhere"
    assert torch.equal(load_splits(recipe).validation.images, parts.validation.images)
    assert not torch.equal(load_splits(replace(recipe, seed=6)).validation.images, parts.validation.images)
    with pytest.raises(
        UsageError, match=r"validation must be less than the 1437 training samples of digits \(got 1437"
    ):
        load_splits(replace(recipe, validation=1437))


def test_the_best_epoch_is_kept_and_the_test_comes_last(tmp_path):
    # A rate that jumps high at the end makes the last epochs worse than the best one.
    recipe = replace(TINY, epochs=4, validation=300, keep="best", learning_rate=4.0, warmup_epochs=4, momentum=0.0)
    recipe = replace(recipe, batch_size=64)
    events = []
    result = train(recipe, out=tmp_path / "a.pt", progress=events.append)
    accuracies = [entry["validation_accuracy"] for entry in result.history]
    assert accuracies[-1] < max(accuracies)
    checkpoint = load_checkpoint(result.path)
    held_out = load_splits(recipe).validation
    assert evaluate(checkpoint.model, held_out, checkpoint.input).accuracy == max(accuracies)
    assert evaluate(checkpoint.model, load_images("digits"), checkpoint.input) == result.evaluation
    assert checkpoint.training["validation_accuracy"] == accuracies
    last_step = max(i for i, event in enumerate(events) if isinstance(event, BatchDone))
    tested = [i for i, e in enumerate(events) if isinstance(e, EvaluationProgress) and e.what == "float"]
    assert tested
    assert min(tested) > last_step
    assert [e.validation_accuracy for e in events if isinstance(e, EpochDone)] == accuracies


def test_validation_every_second_epoch(tmp_path):
    result = train(replace(TINY, epochs=3, validation=100, evaluate_every=2), out=tmp_path / "a.pt")
    assert [entry.get("validation_accuracy") is not None for entry in result.history] == [False, True, True]


def test_average_is_what_is_saved(tmp_path):
    plain = train(TINY, out=tmp_path / "a.pt")
    averaged = train(replace(TINY, ema_decay=0.9), out=tmp_path / "b.pt")
    assert averaged.history[0]["loss"] == plain.history[0]["loss"], "it does not change the training itself"
    checkpoint = load_checkpoint(averaged.path)
    assert not torch.equal(checkpoint.model.head.weight, load_checkpoint(plain.path).model.head.weight)
    assert evaluate(checkpoint.model, load_images("digits"), checkpoint.input) == averaged.evaluation


def test_float16_weights_are_tested_as_they_are_read(tmp_path):
    result = train(replace(TINY, saved_as="float16"), out=tmp_path / "a.pt")
    checkpoint = load_checkpoint(result.path)
    weight = checkpoint.model.head.weight
    assert torch.equal(weight, weight.half().float())
    again = evaluate(checkpoint.model, load_images("digits"), checkpoint.input)
    assert again == result.saved
    assert checkpoint.training["test_correct"] == again.correct


def test_packed_weights_are_the_snapped_ones(tmp_path):
    plain = train(replace(TINY, snap_bits=8), out=tmp_path / "a.pt")
    packed = train(replace(TINY, snap_bits=8, saved_as="packed"), out=tmp_path / "b.pt")
    states = [load_checkpoint(result.path).model.state_dict() for result in (plain, packed)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert packed.path.stat().st_size < plain.path.stat().st_size


class Quiet:
    """Asks for small logits; counts what it is asked, and changes its weight from step to step."""

    def __init__(self, weight, name="quiet"):
        self.weight, self.name, self.calls, self.seen = weight, name, 0, []

    @contextmanager
    def watching(self, model):
        handle = model.register_forward_hook(lambda _module, _inputs, output: self.seen.append(output))
        yield
        handle.remove()

    def loss(self, samples):
        (logits,) = self.seen
        assert len(logits) == samples
        self.seen.clear()
        self.calls += 1
        return self.weight * self.calls * logits.square().mean()

    def record(self):
        return {"calls": self.calls}

    def to_plain(self):
        return {"name": self.name, "weight": self.weight}

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state):
        self.calls = state["calls"]


def test_a_penalty_acts_is_logged_and_goes_on(tmp_path):
    assert isinstance(Quiet(1.0), StatefulPenalty)
    sizes = {}
    recipe = replace(TINY, batch_size=64)
    for weight in (0.0, 0.02):
        out = tmp_path / f"{weight}.pt"
        result = train(recipe, out=out, penalty=Quiet(weight))
        checkpoint = load_checkpoint(out)
        with torch.no_grad():
            x = checkpoint.input.apply(load_images("digits").images)
            sizes[weight] = float(checkpoint.model(x).square().mean())
    assert sizes[0.02] < 0.5 * sizes[0.0]
    assert [entry["penalty"] for entry in result.history] == [{"calls": 23}, {"calls": 46}]
    record = checkpoint.training["penalty"]
    assert record == {"name": "quiet", "weight": 0.02, "epochs": [{"calls": 23}, {"calls": 46}]}
    with log_path(out).open() as file:
        assert [row["calls"] for row in csv.DictReader(file)] == ["23", "46"]

    again = tmp_path / "again.pt"

    def stop(event):
        if isinstance(event, BatchDone) and (event.epoch, event.batch) == (2, 4):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, out=again, penalty=Quiet(0.02), progress=stop, save_every=3)
    with pytest.raises(UsageError, match=r"begun with penalty = {'name': 'quiet', 'weight': 0.02} .got None."):
        train(recipe, out=again, resume=True)
    train(recipe, out=again, resume=True, penalty=Quiet(0.02))
    states = [load_checkpoint(path).model.state_dict() for path in (out, again)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    with pytest.raises(UsageError, match="compile = true hides"):
        train(replace(TINY, compile=True), out=tmp_path / "c.pt", penalty=Quiet(1.0))


def test_csv_has_a_row_for_each_epoch(tmp_path):
    result = train(replace(TINY, snap_bits=8), out=tmp_path / "a.pt")
    with log_path(result.path).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [row["phase"] for row in rows] == ["train", "train", "snap"]
    assert [float(row["loss"]) for row in rows] == [entry["loss"] for entry in result.history]
    assert {row["validation_accuracy"] for row in rows} == {""}


def test_tensorboard_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"need the package tensorboard .*pip install 'snn-energy\[tensorboard\]'"):
        train(TINY, out=tmp_path / "a.pt", tensorboard=tmp_path / "logs")
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_gets_every_number(tmp_path, monkeypatch):
    points, closed = [], []

    class Writer:
        def __init__(self, folder, purge_step):
            points.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            points.append((name, value, step))

        def flush(self):
            pass

        def close(self):
            closed.append(True)

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    result = train(replace(TINY, validation=100), out=tmp_path / "a.pt", tensorboard=tmp_path / "logs")
    assert points[0] == (str(tmp_path / "logs"), 1)
    for name in ("loss", "train_accuracy", "validation_accuracy", "learning_rate", "seconds"):
        assert [p[1:] for p in points[1:] if p[0] == name] == [(e[name], e["epoch"]) for e in result.history]
    assert closed == [True]


def test_both_encoders_are_tested(tmp_path):
    result = train(WINDOWED, out=tmp_path / "a.pt")
    checkpoint = load_checkpoint(result.path)
    assert set(result.encoders) == {"bernoulli", "deterministic"}
    assert result.encoders["deterministic"] == result.saved
    assert evaluate(checkpoint.model, load_images("digits"), checkpoint.input) == result.saved
    assert checkpoint.training["test_correct_by_encoder"] == {k: v.correct for k, v in result.encoders.items()}
    again = train(WINDOWED, out=tmp_path / "b.pt")
    assert again.encoders == result.encoders, "its random numbers come from the recipe's seed"
    other = replace(WINDOWED, model_args={**WINDOWED.model_args, "encoder": "deterministic"})
    assert train(other, out=tmp_path / "c.pt").encoders == {}


def test_pixels_are_normalised_as_the_recipe_says(tmp_path):
    result = train(replace(TINY, epochs=1, mean=[0.3], std=[0.5]), out=tmp_path / "a.pt")
    spec = load_checkpoint(result.path).input
    pixels = torch.tensor([[[[0, 255]]]], dtype=torch.uint8).expand(1, 1, 8, 2).repeat(1, 1, 1, 4)
    assert spec.apply(pixels)[0, 0, 0, :2].tolist() == pytest.approx([-0.6, 1.4])
    with pytest.raises(UsageError, match=r"one number per channel of digits, 1 \(got 3\)"):
        train(replace(TINY, mean=[0.1] * 3, std=[1] * 3), out=tmp_path / "b.pt")


def test_a_folder_of_the_users_own(tmp_path):
    train_set, test_set = load_images("digits", "train").head(300), load_images("digits").head(50)
    for name, images in (("train", train_set), ("test", test_set)):
        np.savez(tmp_path / f"{name}.npz", x=images.images.numpy(), y=images.labels.numpy())
    result = train(replace(TINY, dataset=str(tmp_path)), out=tmp_path / "a.pt")
    assert result.evaluation.total == 50
    checkpoint = load_checkpoint(result.path)
    assert (checkpoint.dataset, checkpoint.classes) == (tmp_path.name, tuple("0123456789"))
    (tmp_path / "test.npz").unlink()
    with pytest.raises(DataError, match=r"expected one of test, test.npz, test.pt in this folder \(got none\)"):
        train(replace(TINY, dataset=str(tmp_path)), out=tmp_path / "b.pt")


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        (replace(WINDOWED, snap_bits=8), {}, "windowed-cnn has none .got snap_bits = 8.; set snap_bits = 0"),
        (TINY, {"save_every": 0}, r"save_every must be a number of batches >= 1 \(got 0\)"),
        (TINY, {"device": "gpu"}, "unknown device 'gpu': .*expected one of auto, cpu, cuda"),
        (replace(TINY, batch_size=718, accumulate=2), {}, "leaves a last batch of 1 samples in 2 parts"),
        (replace(TINY, model="spiking-recurrent"), {}, "spiking-recurrent"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, recipe, options, message):
    with pytest.raises(UsageError, match=message):
        train(recipe, out=tmp_path / "a.pt", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_old_checkpoint_stays_until_the_new_one_is_whole(tmp_path):
    out = tmp_path / "a.pt"
    out.write_bytes(b"the old one")

    def stop(event):
        if isinstance(event, EpochDone):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TINY, out=out, progress=stop)
    assert out.read_bytes() == b"the old one"
    train(TINY, out=out, resume=True)
    assert isinstance(load_checkpoint(out).model, SpikingCNN)
    assert not state_path(out).exists()
