"""Per-sample records: each sample's own counts, by the classes of all data, adding up to the last integer."""

from __future__ import annotations

import json
from collections import namedtuple
from functools import reduce
from typing import Any

import brute
import pytest
import torch
from agree import filled, trace
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Spikes, fill, seeds, spikes
from torch import nn
from torch.nn.utils import prune

import snn_energy as se
from snn_energy.counting.counts import PerSample, SampleColumn, Trace
from snn_energy.counting.samples import blank, each_sample
from snn_energy.errors import TraceError
from snn_energy.models.neurons import LIF

COUNTED = ("events", "effective_events", "connections", "dense_macs", "spikes", "elements")


class Everything(nn.Module):
    """Border, stride, groups, scaled integers, neurons, a product of two activations, a bilinear form, bias."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.neuron = nn.Conv2d(1, 4, 3, padding=1), LIF(threshold=0.5)
        self.pool, self.grouped = nn.AvgPool2d(2), nn.Conv2d(4, 4, 3, padding=1, stride=2, groups=2, bias=False)
        self.second, self.pair, self.head = LIF(threshold=0.3), nn.Bilinear(4, 4, 3), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes = self.neuron(self.conv(x).expand(2, *([-1] * x.dim())))  # t n c h w
        small = self.grouped(self.pool(spikes.flatten(0, 1))).unflatten(0, (2, -1))
        fired = self.second(small).flatten(3)  # t n c p
        mixed = fired @ fired.transpose(-1, -2)  # t n c c
        return self.pair(mixed[..., 0, :], fired[..., 0]).mean(0) + self.head(mixed.flatten(2)).mean(0)


def everything(seed: int, pruned: bool = False) -> nn.Module:
    net = filled(Everything(), seed, fill)
    if pruned:
        prune.l1_unstructured(net.head, "weight", amount=0.4)
    return net


SOME = settings(max_examples=settings.default.max_examples // 4)
"""For laws whose every example traces many samples."""


def total(traces: Any) -> Trace:
    return reduce(Trace.__add__, traces, Trace())


def test_the_network_of_the_laws_has_everything() -> None:
    x = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    found = se.trace(everything(1), x, per_sample=True)
    assert {layer.kind for layer in found.layers} == {"conv2d", "linear", "matmul", "bilinear"}
    assert {"real", "integer", "binary"} <= {layer.operand.kind for layer in found.layers}
    assert len(found.neurons) == 2
    assert found.elementwise
    assert found.events > 0


# ---------------------------------------------------------------- laws


@SOME
@given(st.integers(1, 4), spikes(), spikes(), seeds, st.booleans())
def test_samples_add_up_to_the_whole(n: int, s1: Spikes, s2: Spikes, seed: int, pruned: bool) -> None:
    """To the last integer of every record, although the two halves may be of different classes and units."""
    net, x = everything(seed, pruned), torch.cat([s1.tensor(n, 1, 6, 6), s2.tensor(2, 1, 6, 6)])
    found = se.trace(net, x, per_sample=True)
    plain = se.trace(net, list(x.split(1)))
    assert found.without_samples() == plain
    assert found.samples == found.per_sample.count == n + 2
    assert total(each_sample(found)) == plain
    assert total(found.sample(i) for i in reversed(range(n + 2))).layers == plain.layers


@SOME
@given(st.integers(1, 3), spikes(), spikes(), seeds)
def test_merging_puts_samples_behind_each_other(n: int, s1: Spikes, s2: Spikes, seed: int) -> None:
    net, parts = everything(seed), [s1.tensor(n, 1, 6, 6), s2.tensor(2, 1, 6, 6), s1.tensor(1, 1, 6, 6)]
    whole = se.trace(net, torch.cat(parts), per_sample=True)
    a, b, c = (se.trace(net, part, per_sample=True) for part in parts)
    assert (a + b) + c == a + (b + c) == whole
    assert Trace() + whole == whole + Trace() == whole
    backwards = c + b + a
    assert [backwards.sample(i) for i in (0, n + 2)] == [whole.sample(i) for i in (n + 2, n - 1)]


@SOME
@given(st.integers(2, 4), spikes(), seeds)
def test_a_sample_is_what_it_is_alone(n: int, s: Spikes, seed: int) -> None:
    """Counts do not depend on the other samples; only the class, and so the price, is that of all."""
    net, x = everything(seed), s.tensor(n, 1, 6, 6)
    found = se.trace(net, x, per_sample=True)
    for i in range(n):
        alone, sample = se.trace(net, x[i : i + 1]), found.sample(i)
        for ours, theirs in zip(sample.layers, alone.layers, strict=True):
            assert [getattr(ours, name) for name in COUNTED] == [getattr(theirs, name) for name in COUNTED]
        assert [n.spikes_per_step for n in sample.neurons] == [n.spikes_per_step for n in alone.neurons]
        assert [layer.operand for layer in sample.layers] == [layer.operand for layer in found.layers]
        assert (sample.samples, sample.time_steps, sample.per_sample) == (1, 2, None)


@given(spikes(), spikes(), seeds)
def test_a_sample_against_nested_loops(s1: Spikes, s2: Spikes, seed: int) -> None:
    layer = filled(nn.Linear(7, 3, bias=False), seed, fill)
    x = torch.cat([s1.tensor(2, 7), s2.tensor(2, 7)])
    found = trace(layer, x, per_sample=True)
    kind, scale = brute.operand_class(x.flatten().tolist())
    for i, row in enumerate(x.tolist()):
        want, (record,) = brute.linear(row, layer.weight.tolist()), found.sample(i).layers
        assert {name: getattr(record, name) for name in COUNTED} == {name: getattr(want, name) for name in COUNTED}
        assert record.operand.kind == kind
        if kind == "integer":
            assert record.unit_events == brute.unit_events(brute.linear_taps(row, layer.weight.tolist()), scale)


@given(st.integers(1, 3), st.integers(1, 3), spikes(), seeds)
def test_either_folding_of_time_into_the_batch(steps: int, n: int, s: Spikes, seed: int) -> None:
    """[T, N] and [N, T] foldings look the same from outside: running samples alone is what keeps them apart."""
    linear = filled(nn.Linear(5, 2), seed, fill)

    class TimeFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = linear

        def forward(self, x: torch.Tensor) -> torch.Tensor:  # t n c
            return self.fc(x.flatten(0, 1))

    class SampleFirst(TimeFirst):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x.transpose(0, 1).flatten(0, 1))

    x = s.tensor(steps, n, 5)
    first = se.trace(TimeFirst().eval(), x, batch_axis=1, per_sample=True)
    other = se.trace(SampleFirst().eval(), x, batch_axis=1, per_sample=True)
    nonzero = [2 * sum(value != 0 for row in x[:, i].tolist() for value in row) for i in range(n)]
    assert [sample.events for sample in each_sample(first)] == nonzero
    assert [sample.events for sample in each_sample(other)] == nonzero


def test_records_are_compact() -> None:
    """A constant once, a zero not at all: only what differs between samples has a value for each."""
    x = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 0]])
    found = se.trace(nn.Linear(3, 2, bias=False), x, per_sample=True)
    columns = {(c.part, c.field): c.values for c in found.per_sample.columns if c.part == "layers"}
    assert columns == {
        ("layers", "calls"): (1,),
        ("layers", "elements"): (3,),
        ("layers", "spikes"): (1, 2, 0),
        ("layers", "dense_macs"): (6,),
        ("layers", "connections"): (6,),
        ("layers", "events"): (2, 4, 0),
        ("layers", "effective_events"): (2, 4, 0),
        ("layers", "outputs"): (2,),
        ("layers", "operand_units"): (2, 4, 0),
    }
    assert blank(found).events == 0
    assert blank(found).layers[0].values == found.layers[0].values


def test_a_finer_unit_recounts_the_earlier_samples() -> None:
    x = torch.tensor([[2.0, 0], [2, 4], [1, 0]])
    found = se.trace(nn.Linear(2, 1, bias=False), x, per_sample=True)
    assert [sample.layers[0].operand_units for sample in each_sample(found)] == [2, 6, 1]
    assert [sample.layers[0].unit_events for sample in each_sample(found)] == [2, 6, 1]


def test_work_that_only_one_sample_does() -> None:
    class Sometimes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(2, 2, bias=False), nn.Linear(2, 5, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(x) if x.sum() > 1 else self.a(x)

    found = se.trace(Sometimes().eval(), torch.tensor([[1.0, 0], [1, 1], [0, 1]]), per_sample=True)
    assert [sample.connections for sample in each_sample(found)] == [4, 10, 4]
    assert [[layer.calls for layer in sample.layers] for sample in each_sample(found)] == [[1, 0], [0, 1], [1, 0]]


def test_uncounted_work_has_a_bound_for_each_sample() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.fft.fft(x).real

    found = se.trace(Odd(), torch.ones(2, 8), per_sample=True)
    assert [sample.coverage.bound for sample in each_sample(found)] == [found.coverage.bound // 2] * 2


# ---------------------------------------------------------------- cutting batches into samples


class Two(nn.Module):
    def forward(self, a: Any, b: Any = None) -> torch.Tensor:
        first = a["x"] if isinstance(a, dict) else a[0] if isinstance(a, (tuple, list)) else a
        self.seen.append((tuple(first.shape), None if b is None else tuple(b.shape)))
        return first * 1.0

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []


Pair = namedtuple("Pair", "x flag")


@pytest.mark.parametrize(
    "data",
    [
        torch.ones(3, 4),
        (torch.ones(3, 4),),
        {"a": torch.ones(3, 4)},
        [torch.ones(2, 4), torch.ones(1, 4)],
        [[torch.ones(3, 4), torch.zeros(3)]],
        [((torch.ones(3, 4), "word"),)],
        [({"x": torch.ones(3, 4)},)],
        [(Pair(torch.ones(3, 4), True),)],
    ],
)
def test_every_form_of_data_is_cut(data: Any) -> None:
    model = Two()
    found = se.trace(model, data, per_sample=True)
    assert found.samples == found.per_sample.count == 3
    assert model.seen == [((1, 4), None)] * 3


def test_several_tensors_are_cut_together() -> None:
    model = Two()
    se.trace(model, (torch.ones(2, 3), torch.ones(2, 5)), per_sample=True)
    se.trace(model, (torch.ones(2, 3), torch.tensor(4.0)), per_sample=True)
    assert model.seen == [((1, 3), (1, 5))] * 2 + [((1, 3), ())] * 2


@pytest.mark.parametrize("other", [torch.ones(3, 3), torch.ones(1), torch.ones(4, 2)])
def test_a_tensor_of_other_length_is_refused(other: torch.Tensor) -> None:
    """A mask of the right size by chance is the caller's word; one of another size belongs to nobody."""
    message = rf"cuts every tensor of a batch into 2 samples along axis 0 \(got one of shape \[{other.shape[0]}"
    with pytest.raises(TraceError, match=message):
        se.trace(Two(), (torch.ones(2, 3), other), per_sample=True)


def test_a_tensor_without_the_batch_axis_is_refused() -> None:
    with pytest.raises(TraceError, match=r"along axis 1 \(got one of shape \[5\]\)"):
        se.trace(Two(), (torch.ones(2, 3, 4), torch.ones(5)), batch_axis=1, per_sample=True)


def test_a_number_of_samples_that_is_not_the_one_found_is_refused() -> None:
    with pytest.raises(TraceError, match=r"found 2 samples along axis 0 \(got samples=3\)"):
        se.trace(nn.Linear(3, 1), torch.ones(2, 3), samples=3, per_sample=True)
    assert se.trace(nn.Linear(3, 1), torch.ones(2, 3), samples=2, per_sample=True).samples == 2


def test_callbacks_come_for_each_sample() -> None:
    sizes: list[int] = []
    outputs: list[Any] = []
    se.trace(nn.Linear(3, 1), torch.ones(4, 3), per_sample=True, progress=sizes.append, on_output=outputs.append)
    assert sizes == [1] * 4
    assert [tuple(output.shape) for output in outputs] == [(1, 1)] * 4


# ---------------------------------------------------------------- what is refused


def test_a_sample_that_is_not_there() -> None:
    found = se.trace(nn.Linear(3, 1), torch.ones(2, 3), per_sample=True)
    for index in (-1, 2):
        with pytest.raises(TraceError, match=rf"expected an index from 0 to 1 \(got {index}\)"):
            found.sample(index)
    with pytest.raises(TraceError, match="no per-sample records; make it with"):
        found.without_samples().sample(0)


def test_records_are_never_lost_in_silence() -> None:
    x, net = torch.ones(2, 3), nn.Linear(3, 1)
    with_records, without = se.trace(net, x, per_sample=True), se.trace(net, x)
    for a, b in ((with_records, without), (without, with_records)):
        with pytest.raises(TraceError, match=r"only one of them has per-sample records, .* call without_samples\(\)"):
            _ = a + b
    assert (with_records.without_samples() + without).samples == 4


# ---------------------------------------------------------------- in trace files


@SOME
@given(st.integers(1, 3), spikes(), spikes(), seeds)
def test_a_trace_file_keeps_them(tmp_path_factory: Any, n: int, s1: Spikes, s2: Spikes, seed: int) -> None:
    folder = tmp_path_factory.getbasetemp()
    net, parts = everything(seed), [s1.tensor(n, 1, 6, 6), s2.tensor(2, 1, 6, 6)]
    a, b = (se.trace(net, part, per_sample=True) for part in parts)
    for name, one in (("a.json", a), ("b.json.gz", b)):
        se.save_trace(one, folder / name)
        assert se.load_trace(folder / name) == one
    merged = se.load_trace(folder / "a.json") + se.load_trace(folder / "b.json.gz")
    assert merged == se.trace(net, torch.cat(parts), per_sample=True)
    se.save_trace(merged, folder / "m.json")
    se.save_trace(a + b, folder / "s.json")
    assert (folder / "m.json").read_bytes() == (folder / "s.json").read_bytes()


def edited(tmp_path: Any, change: Any) -> Any:
    x = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 0]])
    se.save_trace(se.trace(nn.Linear(3, 2, bias=False), x, per_sample=True), tmp_path / "t.json")
    document = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    by_field = {column["field"]: column for column in document["per_sample"]["columns"] if column["part"] == "layers"}
    change(document, document["per_sample"]["columns"], by_field)
    (tmp_path / "t.json").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path / "t.json"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, c, f: d.update(samples=4), "per_sample.count must be the number of samples, 4 (got 3)"),
        (lambda d, c, f: f["events"]["values"].pop(), "per_sample.columns[5].values must hold 1 or 3 values (got 2)"),
        (lambda d, c, f: f["events"].update(values=[]), "per_sample.columns[5].values must hold 1 or 3 values (got 0)"),
        (lambda d, c, f: f["events"].update(values=[2, 4, 1]), "must add up to 6, the count of all samples (got 7)"),
        (lambda d, c, f: f["events"].update(values=[2, 4, -1]), "values[2] must be an integer >= 0 (got -1)"),
        (lambda d, c, f: f["events"].update(values=[2, 4, True]), "values[2] must be an integer >= 0 (got True)"),
        (lambda d, c, f: f["events"].update(field="macs"), "must be the only one of a count of this trace"),
        (lambda d, c, f: c.append(c[0]), "must be the only one of a count of this trace"),
        (lambda d, c, f: c.remove(f["events"]), "has no column for 'layers', '(model)', '', 'events'"),
        (lambda d, c, f: c.reverse(), "per_sample.columns must be in the order of the trace"),
        (lambda d, c, f: f["calls"].update(values=[1, 1, 1]), "with one value where all samples are equal"),
        (lambda d, c, f: d.update(format_version=1), "format_version must be 2 (got 1)"),
    ],
)  # fmt: skip
def test_records_that_do_not_belong_to_the_counts_are_refused(tmp_path: Any, change: Any, message: str) -> None:
    with pytest.raises(TraceError) as caught:
        se.load_trace(edited(tmp_path, change))
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_records_of_no_sample_are_refused_with_columns(tmp_path: Any) -> None:
    column = SampleColumn(part="layers", name="a", field="events", values=())
    with pytest.raises(TraceError, match="must be the only one of a count of this trace"):
        se.save_trace(Trace(per_sample=PerSample(count=0, columns=(column,))), tmp_path / "t.json")
