"""The shipped CIFAR-10 networks: one time step, spikes before every product but the stem's, as their records say.

Their images do not come with the package. What the whole test split gives is in the committed reports, which are held
against the checkpoints here, and measured anew where $SNN_ENERGY_DATA has the images.
"""

import copy
import json
from pathlib import Path

import pytest
import torch

import snn_energy as se
from snn_energy.errors import DataError
from snn_energy.models import load_checkpoint, pretrained
from snn_energy.models.inputs import unit_pixels
from snn_energy.models.snapping import headroom_bits
from snn_energy.reporting.rebuild import REPORTS_ON_OWN_DATA, reference_document, render
from snn_energy.training import Recipe, evaluate, find_recipe, load_images

REPORTS = Path(__file__).parents[2] / "reports"
RECIPES = {"cifar10-vgg": "cifar10-cpu", "cifar10-pure-cnn": "cifar10-pure-cpu"}
MEGABYTE = 10**6

every = pytest.mark.parametrize("name", REPORTS_ON_OWN_DATA)


def committed(name):
    return json.loads((REPORTS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def images():
    try:
        return load_images("cifar10")
    except DataError:
        pytest.skip("needs CIFAR-10 in $SNN_ENERGY_DATA")


@every
def test_it_is_small_and_made_by_a_shipped_recipe(name):
    checkpoint = load_checkpoint(pretrained(name))
    assert checkpoint.path.stat().st_size <= 15 * MEGABYTE
    assert (checkpoint.dataset, checkpoint.time_steps) == ("cifar10", 1)
    assert checkpoint.input == unit_pixels(3, 32, 32)
    assert Recipe.from_plain(checkpoint.training["recipe"]) == find_recipe(RECIPES[name])


@every
def test_the_committed_report_tells_the_recorded_accuracy(name):
    record, report = load_checkpoint(pretrained(name)).training, committed(name)
    assert report["accuracy"] == {"correct": record["test_correct"], "total": record["test_total"]}
    assert record["test_total"] == 10_000
    assert report["coverage"]["complete"]
    assert report["second_opinion"]["agrees"]


@every
def test_its_stem_alone_takes_real_values(name):
    checkpoint = load_checkpoint(pretrained(name))
    pixels = torch.randint(0, 256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    trace = se.trace(checkpoint.model, checkpoint.input.apply(pixels), strict=True)
    stem, *rest = trace.layers
    assert stem.operand.kind == "real"
    assert all(layer.operand.kind in ("binary", "silent") for layer in rest)
    assert trace.macs == stem.connections
    assert trace.acs == sum(layer.events for layer in rest) > 0


@every
def test_strictly_counted_it_needs_a_tenth_of_its_dense_twin(name):
    report = committed(name)
    against = next(item for item in report["comparison"] if item["method"] == "arithmetic")
    assert against["ann_energy_per_inference_pj"] >= 10 * against["snn_energy_per_inference_pj"]


def test_no_input_can_exceed_the_sums_of_the_vgg():
    """The bound holds for every input. For the worst, membranes of the pure network would need up to two bits more."""
    assert min(headroom_bits(load_checkpoint(pretrained("cifar10-vgg")).model, per_channel=True).values()) >= 0


@every
def test_float32_equals_float64(name):
    checkpoint = load_checkpoint(pretrained(name))
    generator = torch.Generator().manual_seed(1)
    noise = torch.randint(0, 256, (16, 3, 32, 32), generator=generator, dtype=torch.uint8)
    smooth = torch.nn.functional.interpolate(noise[..., :8, :8].float(), size=32, mode="bilinear").to(torch.uint8)
    x = checkpoint.input.apply(torch.cat([noise, smooth]))
    with torch.no_grad():
        single, double = checkpoint.model(x), copy.deepcopy(checkpoint.model).double()(x.double())
    assert torch.equal(single.double(), double)


@every
@pytest.mark.slow
def test_the_real_images_give_the_committed_report(name, images):
    checkpoint = load_checkpoint(pretrained(name))
    result = evaluate(checkpoint.model, images, checkpoint.input)
    assert (result.correct, result.total) == (checkpoint.training["test_correct"], checkpoint.training["test_total"])
    for file_name, content in render(reference_document(name), name):
        if not file_name.endswith(".svg"):
            assert content == (REPORTS / file_name).read_bytes(), file_name
