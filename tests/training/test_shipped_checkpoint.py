"""The checkpoint that comes with the package does on the real test split exactly what its record says."""

import copy

import pytest
import torch

from snn_energy.models import LIF, load_checkpoint, pretrained, pretrained_names
from snn_energy.models.inputs import unit_pixels
from snn_energy.models.snapping import grid_exponent, headroom_bits
from snn_energy.reporting.rebuild import REPORTS, REPORTS_ON_OWN_DATA
from snn_energy.training import Recipe, evaluate, find_recipe, load_images


@pytest.fixture(scope="module")
def checkpoint():
    return load_checkpoint(pretrained("fashion-cnn"))


@pytest.fixture(scope="module")
def images():
    return load_images("fashion-mnist")


def test_it_is_there_small_and_made_by_the_named_recipe(checkpoint):
    assert pretrained_names() == tuple(sorted(REPORTS + REPORTS_ON_OWN_DATA))
    assert checkpoint.path.stat().st_size < 1_000_000
    assert (checkpoint.model_name, checkpoint.dataset, checkpoint.time_steps) == (
        "spiking-cnn",
        "fashion-mnist",
        4,
    )
    assert checkpoint.input == unit_pixels(1, 28, 28)
    assert Recipe.from_plain(checkpoint.training["recipe"]) == find_recipe("fashion-cnn")
    assert checkpoint.training["command"] == "snn-energy train fashion-cnn"


def test_accuracy_is_the_recorded_one_to_the_image(checkpoint, images):
    assert checkpoint.classes == images.classes
    result = evaluate(checkpoint.model, images, checkpoint.input)
    record = checkpoint.training
    assert (result.correct, result.total) == (record["test_correct"], record["test_total"])
    assert result.accuracy == record["test_accuracy"]
    assert result.accuracy >= 0.91
    assert record["test_accuracy_before_snapping"] - result.accuracy <= 0.005


def test_weights_are_8_bit_integers_with_room_in_float32(checkpoint):
    for name, value in checkpoint.model.named_parameters():
        unit = 2.0**-12 if name.endswith("bias") else 2.0 ** -grid_exponent(value, 8)
        integers = value / unit
        assert torch.equal(integers.round(), integers), name
        if not name.endswith("bias"):
            assert integers.abs().max() <= 127, name
    assert all(bits > 0 for bits in headroom_bits(checkpoint.model).values())


def test_float32_equals_float64_on_real_images_and_every_layer_is_alive(checkpoint, images):
    x = checkpoint.input.apply(images.head(300).images)
    model, double = checkpoint.model, copy.deepcopy(checkpoint.model).double()
    seen = {}
    with torch.no_grad():
        for network, batch in ((model, x), (double, x.double())):
            spikes = seen.setdefault(id(network), [])
            hooks = [
                module.register_forward_hook(lambda _m, _i, out, to=spikes: to.append(out))
                for module in network.modules()
                if isinstance(module, LIF)
            ]
            spikes.append(network(batch))
            for hook in hooks:
                hook.remove()
    *layers, logits = zip(*seen.values(), strict=True)
    assert torch.equal(logits[0].double(), logits[1])
    assert len(layers) == 4
    for single, twice in layers:
        assert torch.equal(single.double(), twice)
        assert 0.01 < single.mean() < 0.5
