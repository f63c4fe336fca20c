"""The certificate: what ran is counted, free, or listed with a bound; nothing is zero in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from agree import Call, trace
from torch import library, nn
from torch.nn import functional as F

import snn_energy as se
from snn_energy.errors import SnnEnergyError, UncountedError

UNKNOWN: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "inverse": lambda x: torch.linalg.inv(x + 5 * torch.eye(4)),
    "fourier": lambda x: torch.fft.fft(x).real,
    "distance": lambda x: torch.cdist(x, x.flip(0)),
    "solve": lambda x: torch.linalg.solve(x + 5 * torch.eye(4), x),
    "svd": lambda x: torch.linalg.svdvals(x),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_work_is_listed_with_a_bound(name: str) -> None:
    x = torch.rand(4, 4, generator=torch.Generator().manual_seed(0))
    net = Call(UNKNOWN[name])
    traced = se.trace(net, x)
    assert not traced.coverage.complete or traced.connections > 0, "work vanished"
    if not traced.coverage.complete:
        assert all(record.name and record.bound > 0 for record in traced.coverage.uncounted)
        with pytest.raises(UncountedError) as error:
            se.trace(net, x, strict=True)
        assert "\n" not in str(error.value)
        assert any(record.name in str(error.value) for record in traced.coverage.uncounted)


@library.custom_op("snn_energy_tests::secret_product", mutates_args=())
def secret_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(a.numpy() @ b.numpy())


def test_a_custom_operator_is_not_free() -> None:
    traced = se.trace(Call(secret_product), (torch.ones(3, 3), torch.ones(3, 3)))
    assert not traced.coverage.complete
    assert any("secret_product" in record.name for record in traced.coverage.uncounted)
    with pytest.raises(UncountedError):
        se.trace(Call(secret_product), (torch.ones(3, 3), torch.ones(3, 3)), strict=True)


def test_sparse_and_quantised_products_are_exact_or_listed() -> None:
    weight = torch.eye(4).to_sparse()
    traced = se.trace(Call(lambda x: torch.sparse.mm(weight, x)), torch.ones(4, 4))
    assert traced.connections > 0 or not traced.coverage.complete


@pytest.mark.filterwarnings("ignore")
def test_dynamic_quantisation_is_exact_or_listed() -> None:
    net = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 3)), {nn.Linear}).eval()
    try:
        traced = se.trace(net, torch.ones(2, 4))
    except SnnEnergyError:
        return
    assert traced.connections == 24 or not traced.coverage.complete


ORDINARY: dict[str, Callable[[torch.Tensor], object]] = {
    "elementwise": lambda x: (x * 2 + 1).relu().tanh().clamp(0, 1) / 3,
    "pooling": lambda x: F.max_pool1d(F.avg_pool1d(x[None], 2), 2),
    "softmax": lambda x: x.softmax(-1),
    "norms": lambda x: F.layer_norm(x, x.shape[-1:]),
    "reductions": lambda x: x.sum(-1).mean() + x.amax() + x.var(),
    "shapes": lambda x: torch.cat([x, x]).view(-1).unfold(0, 2, 1).contiguous().flip(0),
    "indexing": lambda x: x[:, torch.tensor([0, 1])].index_select(0, torch.tensor([0])),
    "sorting": lambda x: x.topk(2).values.sort().values,
    "comparison": lambda x: torch.where(x > 0.5, x, torch.zeros_like(x)),
    "factories": lambda x: x + torch.arange(4.0) + torch.ones(4, 4) + torch.full((4,), 2.0),
    "in place": lambda x: x.clone().add_(1).mul_(2).relu_().masked_fill_(x > 1, 0),
    "interpolation": lambda x: F.interpolate(x[None], scale_factor=2),
    "item": lambda x: x * x.max().item(),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_elementwise_work_is_declared(name: str) -> None:
    """Work around the products is named, free or element-wise: a complete trace that counts no synapse."""
    x = torch.rand(4, 4, generator=torch.Generator().manual_seed(0))
    traced = trace(Call(ORDINARY[name]), x, strict=True)
    assert traced.connections == 0
    assert traced.coverage.free or traced.coverage.counted


def test_operators_are_named() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    coverage = trace(net, torch.ones(1, 4)).coverage
    assert coverage.counted
    assert coverage.uncounted == ()


def test_uncounted_work_survives_a_merge() -> None:
    net, x = Call(UNKNOWN["fourier"]), torch.rand(4, 4)
    one = se.trace(net, x)
    merged = one + one
    assert not merged.coverage.complete
    assert sum(r.bound for r in merged.coverage.uncounted) == 2 * sum(r.bound for r in one.coverage.uncounted)


def nothing() -> Iterator[torch.Tensor]:
    yield from ()


@pytest.mark.parametrize(
    "data",
    [[], (), {}, nothing(), None, "images", 3, [None], [["text"]], [torch.ones(1, 4), "text"]],
    ids=["list", "args", "kwargs", "generator", "none", "text", "number", "none in list", "nested", "mixed"],
)
def test_bad_data_is_one_line(data: object) -> None:
    with pytest.raises(SnnEnergyError) as error:
        se.trace(nn.Linear(4, 2), data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("model", [None, nn.Linear, "model", lambda x: x], ids=["none", "class", "text", "function"])
def test_bad_model_is_one_line(model: object) -> None:
    with pytest.raises(SnnEnergyError) as error:
        se.trace(model, torch.ones(1, 4))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("options", [{"samples": 0}, {"samples": -1}, {"time_steps": 0}, {"samples": 1.5}])
def test_bad_options_are_one_line(options: dict) -> None:
    with pytest.raises(SnnEnergyError) as error:
        se.trace(nn.Linear(4, 2), torch.ones(1, 4), **options)
    assert "\n" not in str(error.value)


def test_training_mode_is_traced_as_evaluation() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.9), nn.Linear(4, 2)).train()
    before = net[1].running_mean.clone()
    traced = trace(net, torch.rand(3, 4))
    assert traced.layers[1].spikes == 12, "dropout was active"
    assert torch.equal(net[1].running_mean, before)
    assert net[2].training
