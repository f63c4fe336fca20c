"""Recipes in files: the shipped ones are sound, and a wrong line is named with its file, key and what was expected."""

import math

import pytest
import torch

from snn_energy.errors import UsageError
from snn_energy.models import build, model_names
from snn_energy.training import Recipe, changed, dataset_names, find_recipe, read_recipe, recipe_names
from snn_energy.training.augmentation import make_augmentation
from snn_energy.training.schedule import learning_rate_at

PAPER = [f"{data}-windowed-{unit}" for data in ("cifar10", "cifar100", "tinyimagenet") for unit in ("cnn", "rnn")]
OURS = [
    "cifar10-cpu",
    "cifar10-pure-cpu",
    "cifar10-pure-cnn",
    "cifar10-vgg16",
    "cifar10-sew-resnet",
    "cifar10-spiking-transformer",
]
PIXELS = {"tinyimagenet": (3, 64), "digits": (1, 8), "fashion-mnist": (1, 28)}


def test_which_recipes_are_shipped():
    assert set(recipe_names()) == {"fashion-cnn", "digits-cnn", *OURS, *PAPER}


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_can_be_built(name):
    recipe = find_recipe(name)
    assert recipe == Recipe.from_plain(recipe.to_plain())
    assert recipe.dataset in dataset_names()
    assert recipe.model in model_names()
    make_augmentation(recipe.augmentation)
    channels, side = PIXELS.get(recipe.dataset, (3, 32))
    with torch.device("meta"):
        model = build(
            recipe.model,
            in_channels=channels,
            classes=10,
            image_size=side,
            time_steps=recipe.time_steps,
            **recipe.model_args,
        )
    assert model.time_steps == recipe.time_steps


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_recipes_are_the_papers(name):
    recipe = find_recipe(name)
    assert (recipe.time_steps, recipe.epochs, recipe.snap_bits) == (1, 300, None)
    assert (recipe.optimizer, recipe.momentum, recipe.weight_decay, recipe.clip_norm) == ("sgd", 0.9, 2e-5, 20)
    assert (recipe.schedule, recipe.warmup_epochs, recipe.min_learning_rate) == ("cosine", 3, 1e-6)
    assert recipe.label_smoothing == 0.1
    assert recipe.mean == (0.485, 0.456, 0.406)
    assert recipe.augmentation == {
        "random_resized_crop": [0.08, 1.0],
        "flip": True,
        "colour_jitter": 0.4,
        "policy": "autoaugment-cifar10",
    }
    assert recipe.model_args["condense"] == ("average" if recipe.dataset == "cifar10" else "or")
    last = learning_rate_at(recipe, 300 * 390 - 1, 390)
    assert 1e-6 < last < 1e-6 + 0.05 * (math.pi / (297 * 390)) ** 2
    assert learning_rate_at(recipe, 3 * 390 - 1, 390) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('dataset = "digits"\nepochs = "five"', "epochs must be an integer from 1 (got 'five')"),
        ('dataset = "digits"\nepoch = 5', "unknown key of a recipe 'epoch': did you mean 'epochs'?"),
        ('dataset = "digits"\nbatch_size = 1', "batch_size must be an integer from 2 (got 1)"),
        ('dataset = "digits"\noptimizer = "adam"', "optimizer must be one of sgd, adamw (got 'adam')"),
        ('dataset = "digits"\ncompile = 1', "compile must be true or false (got 1)"),
        (
            'dataset = "digits"\nmean = [0.5]',
            "mean and std go together, one number per channel each (got [0.5] and [])",
        ),
        ('dataset = "digits"\nmean = [0.5]\nstd = [0]', "std must be a list of numbers > 0, one per channel (got [0])"),
        ('dataset = "digits"\nbetas = [0.9, 1.0]', "betas must be two numbers from 0 to below 1 (got [0.9, 1.0])"),
        ('dataset = "digits"\nmodel_args = 3', "model_args must be a table of the network's arguments (got 3)"),
        ('dataset = "digits"\nkeep = "best"', 'keep = "best" chooses by validation samples'),
        ('dataset = "digits"\nsaved_as = "packed"\nsnap_bits = 0', "saved_as packed takes snapped weights"),
        ('dataset = "digits"\n[augmentation]\nflip = 2', "augmentation: flip must be true or false (got 2)"),
        ('dataset = "digits"\n[augmentation]\nflips = true', "did you mean 'flip'?"),
        ('model = "spiking-cnn"', 'dataset is missing; name the data, like dataset = "digits"'),
        ('dataset = "digits', "not a TOML file (Illegal character '\\n' (at line 1, column 18)"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text + "\n")
    with pytest.raises(UsageError) as caught:
        find_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_or_a_name(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('dataset = "digits"\nsnap_bits = 0\n[model_args]\nwidths = [8]\n')
    recipe = find_recipe(path)
    assert recipe == Recipe(dataset="digits", snap_bits=None, model_args={"widths": [8]})
    assert find_recipe(str(path)) == recipe
    with pytest.raises(UsageError, match=r"no.toml: no such recipe file; shipped recipes: cifar10-cpu, "):
        read_recipe(tmp_path / "no.toml")
    with pytest.raises(UsageError, match="unknown recipe 'digits': did you mean 'digits-cnn'"):
        find_recipe("digits")


def test_single_values_can_be_changed():
    recipe = changed(
        find_recipe("digits-cnn"),
        ["epochs=5", "optimizer=adamw", "model_args.widths=[8, 8]", "augmentation.flip=true", "snap_bits = 0"],
    )
    expected = find_recipe("digits-cnn").to_plain() | {"epochs": 5, "optimizer": "adamw", "snap_bits": None}
    expected |= {"model_args": {"widths": [8, 8]}, "augmentation": {"shift_pixels": 1, "flip": True}}
    assert recipe.to_plain() == expected
    assert changed(recipe, ["augmentation={}"]).augmentation == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("epochs", "--set epochs: expected key=value"),
        ("epochs.x=1", "epochs is no table of a recipe"),
        ("epochs=many", r"--set: epochs must be an integer from 1 \(got 'many'\)"),
        ("epoch=3", "--set: unknown key of a recipe 'epoch': did you mean 'epochs'"),
    ],
)
def test_wrong_changes(change, message):
    with pytest.raises(UsageError, match=message):
        changed(find_recipe("digits-cnn"), [change])


def test_records_of_the_first_release_are_read():
    old = {"dataset": "digits", "augment": True, "shift_pixels": 3, "flip": True, "epochs": 2}
    assert Recipe.from_plain(old).augmentation == {"shift_pixels": 3, "flip": True}
    assert Recipe.from_plain(old | {"augment": False}).augmentation == {}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("cosine", lambda share: 0.01 + 0.19 * 0.5 * (1 + math.cos(math.pi * share))),
        ("triangle", lambda share: 0.01 + 0.19 * (1 - share)),
        ("constant", lambda _: 0.2),
    ],
)
def test_schedules(schedule, expected):
    recipe = Recipe(
        dataset="digits",
        epochs=5,
        warmup_epochs=1.5,
        learning_rate=0.2,
        min_learning_rate=0.01,
        schedule=schedule,
        snap_bits=None,
    )
    rates = [learning_rate_at(recipe, step, 10) for step in range(50)]
    assert rates[:15] == pytest.approx([0.2 * (step + 1) / 15 for step in range(15)])
    assert rates[15:] == pytest.approx([expected(step / 35) for step in range(35)])
