"""The reference network: shapes, names, time, folding and snapping."""

import copy

import pytest
import torch
from torch import nn

from snn_energy.errors import DataError, UsageError
from snn_energy.models import LIF, SpikingCNN, build, fold, model_names, register, snap
from snn_energy.models.inputs import unit_pixels
from snn_energy.models.snapping import grid_exponent, headroom_bits, snap_tensor
from snn_energy.training import load_images


def trained_like(seed=0, **args):
    """A small network whose batch norms have seen data and whose gains differ per channel."""
    torch.manual_seed(seed)
    model = SpikingCNN(1, 10, 28, widths=(6, 8, 10, 12), **args)
    images = unit_pixels(1, 28, 28).apply(load_images("fashion-mnist").images[:64])
    model.train()
    with torch.no_grad():
        for block in model.blocks:
            block.norm.weight.uniform_(0.5, 2.0)
            block.norm.bias.uniform_(-0.2, 0.6)
        for _ in range(20):
            model(images)
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return trained_like()


@pytest.fixture(scope="module")
def images():
    return unit_pixels(1, 28, 28).apply(load_images("fashion-mnist", limit=200).images)


def recorded(model, images):
    """Logits, and the spikes of every neuron layer, of one forward."""
    spikes = []
    hooks = [
        module.register_forward_hook(lambda _m, _i, out: spikes.append(out))
        for module in model.modules()
        if isinstance(module, LIF)
    ]
    with torch.no_grad():
        logits = model(images)
    for hook in hooks:
        hook.remove()
    return logits, spikes


def test_names_and_shapes(model, images):
    names = dict(model.named_modules())
    for name in (
        "blocks.0.conv",
        "blocks.0.norm",
        "blocks.0.neuron",
        "blocks.0.pool",
        "blocks.3.conv",
        "head",
    ):
        assert name in names
    assert [type(block.pool).__name__ for block in model.blocks] == ["MaxPool2d"] * 3 + ["Identity"]
    logits, spikes = recorded(model, images[:5])
    assert logits.shape == (5, 10)
    assert [list(s.shape) for s in spikes] == [
        [4, 5, 6, 28, 28],
        [4, 5, 8, 14, 14],
        [4, 5, 10, 7, 7],
        [4, 5, 12, 3, 3],
    ]


def test_every_layer_after_the_stem_takes_binary_spikes_in_one_call(model, images):
    seen = {}
    hooks = [
        module.register_forward_pre_hook(lambda _m, args, name=name: seen.setdefault(name, []).append(args[0]))
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    ]
    with torch.no_grad():
        model(images[:3])
    for hook in hooks:
        hook.remove()
    assert len(seen) == 5
    assert all(len(calls) == 1 for calls in seen.values())
    assert seen["blocks.0.conv"][0].shape[0] == 3
    for name in ("blocks.1.conv", "blocks.2.conv", "blocks.3.conv", "head"):
        assert seen[name][0].shape[0] == 12
        assert set(seen[name][0].unique().tolist()) <= {0.0, 1.0}


def test_frames_equal_the_image_repeated(model, images):
    with torch.no_grad():
        frames = images[:4].expand(4, 4, 1, 28, 28)
        torch.testing.assert_close(model(frames), model(images[:4]))
        assert model(frames[:2]).shape == (4, 10)


def test_samples_do_not_depend_on_their_batch(model, images):
    exact = snap(fold(model))
    with torch.no_grad():
        assert torch.equal(exact(images[:6]), torch.cat([exact(images[i : i + 1]) for i in range(6)]))


def test_time_steps_may_be_set_and_neurons_swapped_for_relu(model, images):
    twin = copy.deepcopy(model)
    twin.time_steps = 1
    for block in twin.blocks:
        block.neuron = nn.ReLU()
    with torch.no_grad():
        logits = twin(images[:2])
    x = images[:2]
    with torch.no_grad():
        for block in twin.blocks:
            x = block.pool(torch.relu(block.norm(block.conv(x))))
        torch.testing.assert_close(logits, twin.head(x.flatten(1)))
    longer = copy.deepcopy(model)
    longer.time_steps = 7
    assert recorded(longer, images[:2])[1][0].shape[0] == 7


def test_constructor_args_build_it_again(model):
    args = model.constructor_args()
    again = build("spiking-cnn", **args)
    assert again.constructor_args() == args
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"time_steps": 0}, "time_steps must be an integer >= 1 \\(got 0\\)"),
        ({"widths": ()}, "widths is empty"),
        ({"widths": (8, "9")}, "widths\\[1\\] must be an integer >= 1 \\(got '9'\\)"),
        ({"classes": True}, "classes must be an integer >= 1 \\(got True\\)"),
        ({"surrogate": "nope"}, "unknown surrogate 'nope'"),
    ],
)
def test_bad_arguments(args, message):
    with pytest.raises(UsageError, match=message):
        SpikingCNN(**{"in_channels": 1, "classes": 10, "image_size": 8, **args})


@pytest.mark.parametrize("shape", [(2, 3, 28, 28), (2, 1, 27, 28), (28, 28), (1, 1, 1, 1, 28, 28)])
def test_bad_shapes(model, shape):
    with pytest.raises(DataError, match=r"expected images \[N, 1, 28, 28\]"):
        model(torch.zeros(shape))


def test_registry_refuses_duplicates_and_suggests():
    assert "spiking-cnn" in model_names()
    with pytest.raises(UsageError, match="model name 'spiking-cnn' is taken by SpikingCNN"):
        register("spiking-cnn")(nn.Linear)
    with pytest.raises(UsageError, match=r"unknown model 'spikingcnn': did you mean 'spiking-cnn'\?"):
        build("spikingcnn")
    with pytest.raises(UsageError, match=r"model 'spiking-cnn': .*colour"):
        build("spiking-cnn", in_channels=1, classes=2, image_size=8, colour=3)


def test_fold_equals_the_original_and_leaves_it_alone(model, images):
    before = copy.deepcopy(model.state_dict())
    folded = fold(model)
    assert folded.folded
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    # Layer by layer on the same input: a current within rounding of the threshold may fire in one alone.
    x = images[:20]
    with torch.no_grad():
        for original, merged in zip(model.blocks, folded.blocks, strict=True):
            torch.testing.assert_close(merged.current(x), original.current(x), rtol=1e-4, atol=1e-5)
            x = original.fire(original.current(x).unsqueeze(0))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    with pytest.raises(UsageError, match="folded already"):
        fold(folded)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_snapped_weights_are_integers_of_the_given_bits(model, bits):
    snapped = snap(fold(model), bits)
    for name, value in snapped.named_parameters():
        if name.endswith("bias"):
            assert torch.equal((value * 2**12).round(), value * 2**12)
            continue
        k = grid_exponent(value, bits)
        integers = value * 2.0**k
        assert torch.equal(integers.round(), integers)
        limit = 2 ** (bits - 1) - 1
        assert integers.abs().max() <= limit
        assert integers.abs().max() * 2 >= limit / 2, "the grid is as fine as the bits allow"
    again = snap(snapped, bits)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), snapped.parameters(), strict=True))


def test_snapping_errors_by_at_most_half_a_step():
    weight = torch.randn(100, generator=torch.Generator().manual_seed(0))
    k = grid_exponent(weight, 8)
    assert (snap_tensor(weight, 8) - weight).abs().max() <= 2.0 ** -(k + 1)
    assert grid_exponent(torch.tensor([127.0]), 8) == 0
    assert grid_exponent(torch.tensor([127.4]), 8) == 0
    assert grid_exponent(torch.tensor([127.6]), 8) == -1
    assert grid_exponent(torch.tensor([0.0]), 8) == 0
    assert grid_exponent(torch.tensor([1.0]), 2) == 0


def test_snapped_network_is_exact_whatever_precision_or_order(model, images):
    snapped = snap(fold(model))
    assert all(bits > 0 for bits in headroom_bits(snapped).values())
    logits, spikes = recorded(snapped, images)
    assert any(s.sum() > 0 for s in spikes[-1:]), "the test must exercise the last layer"
    double_logits, double_spikes = recorded(copy.deepcopy(snapped).double(), images.double())
    assert torch.equal(logits.double(), double_logits)
    assert all(torch.equal(a.double(), b) for a, b in zip(spikes, double_spikes, strict=True))

    # The same sums in another order: every hidden layer's channels permuted, then the logits must not change.
    permuted = copy.deepcopy(snapped)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for i, block in enumerate(permuted.blocks):
            order = torch.randperm(block.conv.out_channels, generator=generator)
            block.conv.weight.copy_(block.conv.weight[order])
            block.conv.bias.copy_(block.conv.bias[order])
            if i + 1 < len(permuted.blocks):
                later = permuted.blocks[i + 1].conv.weight
                later.copy_(later[:, order])
            else:
                head = permuted.head.weight.unflatten(1, (len(order), -1))
                permuted.head.weight.copy_(head[:, order].flatten(1))
        assert torch.equal(permuted(images), logits)
        # And by another algorithm: the second convolution as a matrix product over unfolded patches.
        x = spikes[0].flatten(0, 1)[:8]
        conv = snapped.blocks[1].conv
        pooled = snapped.blocks[0].pool(x)
        patches = nn.functional.unfold(pooled, 3, padding=1)
        product = (conv.weight.flatten(1) @ patches).unflatten(2, pooled.shape[-2:]) + conv.bias[:, None, None]
        assert torch.equal(product, conv(pooled))


def test_snap_refuses_what_it_cannot_make_exact(model):
    with pytest.raises(UsageError, match="fold it first"):
        snap(model)
    with pytest.raises(UsageError, match="bits must be an integer from 2 to 8 \\(got 9\\)"):
        snap(fold(model), 9)
    with pytest.raises(UsageError, match=r"blocks\.0\.neuron\.decay must be a power of two .* \(got 0\.3\)"):
        snap(fold(trained_like(decay=0.3)))
    with pytest.raises(UsageError, match=r"threshold must be a power of two"):
        snap(fold(trained_like(threshold=1.5)))
