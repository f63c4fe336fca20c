"""Trace files: what is written is read back exactly, and nothing else is ever taken for a trace."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from snn_energy import price
from snn_energy.counting.counts import (
    Coverage,
    ElementwiseCounts,
    LayerCounts,
    NeuronCounts,
    OperatorRecord,
    Trace,
)
from snn_energy.counting.tracefile import FORMAT, load_trace, save_trace
from snn_energy.counting.tracing import trace
from snn_energy.counting.values import REAL, SILENT, ValueSet
from snn_energy.errors import DataError, SnnEnergyError, TraceError
from snn_energy.models import LIF

ROOT = Path(__file__).resolve().parents[2]

# ---------------------------------------------------------------- strategies

counts = st.one_of(st.integers(0, 9), st.integers(0, 2**70))
names = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=8)
KINDS = st.sampled_from(("conv2d", "linear", "bilinear", "product"))


@st.composite
def value_sets(draw):
    """Canonical sets, as the tracer builds them: silent, real, or small multiples of a unit."""
    if draw(st.booleans()):
        return draw(st.sampled_from((SILENT, REAL)))
    unit = draw(st.one_of(st.sampled_from((1.0, 0.1, 1 / 3)), st.floats(2.0**-40, 2.0**40)))
    levels = draw(st.lists(st.integers(1, 8), min_size=1, max_size=3))
    positive = draw(st.booleans())
    return ValueSet.of(
        [unit * level for level in levels],
        positive=positive,
        negative=not positive or draw(st.booleans()),
        eps=draw(st.sampled_from((0.0, 2.0**-52, 2.0**-23, 2.0**-10))),
    )


geometries = st.lists(st.tuples(names, st.lists(counts, max_size=3).map(tuple)), max_size=3).map(tuple)


def unique(records, key=lambda record: record.name):
    return st.lists(records, max_size=3, unique_by=key).map(tuple)


layers = st.builds(
    LayerCounts,
    name=names,
    kind=KINDS,
    values=value_sets(),
    partner_values=st.none() | value_sets(),
    geometry=st.none() | geometries,
    **dict.fromkeys(
        (
            "calls", "elements", "spikes", "dense_macs", "connections", "repeated_connections", "events",
            "effective_events", "operand_units", "partner_units", "bias_adds", "outputs", "weights", "zero_weights",
            "operand_bits", "weight_bits",
        ),
        counts,
    ),
)  # fmt: skip
neurons = st.builds(
    NeuronCounts,
    name=names,
    kind=names,
    spikes_per_step=st.lists(counts, max_size=4).map(tuple),
    spiking=st.booleans(),
    **dict.fromkeys(
        (
            "calls", "updates", "state_elements", "state_variables", "update_adds", "update_muls", "update_compares",
            "update_specials", "spike_adds",
        ),
        counts,
    ),
)  # fmt: skip
elementwise = st.builds(
    ElementwiseCounts,
    name=names,
    kind=names,
    **dict.fromkeys(("calls", "adds", "muls", "compares", "specials"), counts),
)
operators = st.builds(
    OperatorRecord,
    name=names,
    calls=counts,
    modules=st.lists(names, max_size=3).map(tuple),
    reason=names,
    bound=counts,
)
coverages = st.builds(
    Coverage,
    counted=unique(operators),
    free=unique(operators),
    uncounted=unique(operators),
    never_called=st.lists(names, max_size=3).map(tuple),
)
traces = st.builds(
    Trace,
    model=names,
    layers=unique(layers),
    neurons=unique(neurons),
    elementwise=unique(elementwise, lambda record: (record.name, record.kind)),
    coverage=coverages,
    samples=counts,
    time_steps=st.none() | counts,
)


NEURON_SAME = ("kind", "spiking", "update_adds", "update_muls", "update_compares", "update_specials", "spike_adds")


@st.composite
def mergeable(draw):
    """Two traces of one model: what merging compares is the same in both."""
    a, b = draw(traces), draw(traces)
    return a, replace(
        b,
        model=a.model,
        layers=_alike(a.layers, b.layers, ("kind", "weights", "zero_weights")),
        neurons=_alike(a.neurons, b.neurons, NEURON_SAME),
    )


def _alike(first, second, fields):
    """The records of `second` under the names of `first` where there are any."""
    renamed = [
        replace(record, name=like.name, **{field: getattr(like, field) for field in fields})
        for record, like in zip(second, first)
    ]
    taken = {record.name for record in renamed}
    return (*renamed, *(r for r in second[len(first) :] if r.name not in taken | {f.name for f in first}))


# ---------------------------------------------------------------- round trips


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("traces")


def reloaded(value, folder, name="t.json"):
    save_trace(value, folder / name)
    return load_trace(folder / name)


@given(value=traces, name=st.sampled_from(("t.json", "t.json.gz", "t")))
def test_a_saved_trace_comes_back_equal_and_saves_to_the_same_bytes(folder, value, name):
    back = reloaded(value, folder, name)
    assert back == value
    written = (folder / name).read_bytes()
    save_trace(back, folder / f"again-{name}")
    assert (folder / f"again-{name}").read_bytes() == written


@given(pair=mergeable())
def test_merging_files_is_merging_traces(folder, pair):
    a, b = pair
    merged = reloaded(a, folder, "a.json") + reloaded(b, folder, "b.json.gz")
    assert merged == a + b
    save_trace(merged, folder / "merged.json")
    save_trace(a + b, folder / "sum.json")
    assert (folder / "merged.json").read_bytes() == (folder / "sum.json").read_bytes()


class Attending(nn.Module):
    """Every kind of record: a real and a spiking projection, a product of two activations, pooling, a stray layer."""

    def __init__(self, time_steps=3):
        super().__init__()
        torch.manual_seed(0)
        self.time_steps = time_steps
        self.conv, self.neuron = nn.Conv2d(1, 4, 3, padding=1), LIF()
        self.second, self.out, self.unused = LIF(), nn.Linear(4 * 4, 3), nn.Linear(2, 2)
        self.pool = nn.AvgPool2d(2)
        with torch.no_grad():
            self.conv.weight.mul_(6)

    def forward(self, x):
        current = self.conv(x).expand(self.time_steps, *([-1] * x.dim()))
        spikes = self.neuron(current)
        pooled = self.pool(spikes.flatten(0, 1)).unflatten(0, spikes.shape[:2]).flatten(3)
        attended = self.second(pooled @ pooled.transpose(-1, -2))
        return self.out(attended.flatten(2)).mean(0)


@pytest.fixture(scope="module")
def images():
    return torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def real(images):
    return trace(Attending(), images)


def test_a_real_trace_comes_back_equal(real, tmp_path):
    assert len(real.layers) == 3
    assert len(real.neurons) == 2
    assert real.elementwise
    assert real.coverage.never_called == ("unused",)
    assert any(layer.partner_values is not None for layer in real.layers)
    assert reloaded(real, tmp_path) == reloaded(real, tmp_path, "t.json.gz") == real


def test_a_trace_with_uncounted_work_keeps_its_bound(tmp_path):
    class Odd(nn.Module):
        def forward(self, x):
            return torch.fft.fft(x).real

    odd = trace(Odd(), torch.ones(2, 8))
    assert not odd.coverage.complete
    assert reloaded(odd, tmp_path).coverage == odd.coverage


@pytest.mark.parametrize("hardware", ["horowitz-45nm-fp32", "horowitz-45nm-int8"])
@pytest.mark.parametrize("method", ["arithmetic", "arithmetic-zero-skipping"])
def test_a_loaded_trace_has_the_same_price(real, tmp_path, hardware, method):
    back = reloaded(real, tmp_path)
    assert price(back, hardware, method).to_json() == price(real, hardware, method).to_json()


def test_parts_of_the_data_in_files_of_their_own_add_up(real, images, tmp_path):
    parts = [reloaded(trace(Attending(), part), tmp_path) for part in images.split(2)]
    whole = trace(Attending(), list(images.split(2)))
    assert parts[0] + parts[1] + parts[2] == whole
    assert (whole.samples, whole.events, whole.connections) == (real.samples, real.events, real.connections)


# ---------------------------------------------------------------- the file itself


def test_the_file_is_what_the_format_says(real, tmp_path):
    save_trace(real, tmp_path / "t.json")
    data = (tmp_path / "t.json").read_bytes()
    assert data.endswith(b"}\n")
    assert data.isascii()
    document = json.loads(data)
    assert list(document) == [
        "format", "format_version", "model", "layers", "neurons", "elementwise", "coverage", "samples", "time_steps",
        "per_sample",
    ]  # fmt: skip
    assert (document["format"], document["format_version"]) == (FORMAT, 2)
    assert document["layers"][0]["connections"] == real.layers[0].connections
    assert document["layers"][0]["geometry"][0] == ["c_in", [1]]


def test_compression_is_by_suffix_and_leaves_no_date_or_name(real, tmp_path):
    save_trace(real, tmp_path / "t.json")
    save_trace(real, tmp_path / "t.GZ")
    packed, plain = (tmp_path / "t.GZ").read_bytes(), (tmp_path / "t.json").read_bytes()
    assert gzip.decompress(packed) == plain
    assert packed[3:8] == bytes(5)  # no flags, hence no name; no time
    (tmp_path / "renamed.json").write_bytes(packed)
    (tmp_path / "renamed.gz").write_bytes(plain)
    assert load_trace(tmp_path / "renamed.json") == load_trace(tmp_path / "renamed.gz") == real


def test_a_whole_number_may_stand_for_a_float(tmp_path):
    """Other languages write 1.0 as 1; equal traces still give equal bytes."""
    sloppy = Trace(layers=(LayerCounts(name="a", kind="linear", values=ValueSet((1, 2), True, False)),))
    exact = Trace(layers=(LayerCounts(name="a", kind="linear", values=ValueSet((1.0, 2.0), True, False)),))
    save_trace(sloppy, tmp_path / "sloppy.json")
    save_trace(exact, tmp_path / "exact.json")
    assert (tmp_path / "sloppy.json").read_bytes() == (tmp_path / "exact.json").read_bytes()
    (tmp_path / "other.json").write_text((tmp_path / "exact.json").read_text().replace("[1.0,2.0]", "[1,2]"))
    magnitudes = load_trace(tmp_path / "other.json").layers[0].values.magnitudes
    assert [type(value) for value in magnitudes] == [float, float]


def test_neither_saving_nor_loading_needs_torch(real, tmp_path):
    save_trace(real, tmp_path / "t.json")
    code = (
        "import sys, snn_energy as se\n"
        f"t = se.load_trace({str(tmp_path / 't.json')!r})\n"
        f"se.save_trace(t + t, {str(tmp_path / 'double.json')!r})\n"
        "assert se.price(t).energy_pj > 0\n"
        "print(sorted({'torch', 'numpy'} & set(sys.modules)))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    assert load_trace(tmp_path / "double.json").events == 2 * real.events


# ---------------------------------------------------------------- what is refused


def refused(path, kind):
    with pytest.raises(kind) as caught:
        load_trace(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message.removeprefix(str(path))) < 400
    return message.removeprefix(f"{path}: ")


WHOLE = Trace(
    model="Net",
    layers=(
        LayerCounts(name="a", kind="linear", values=ValueSet((0.5,), True, False), geometry=(("c_in", (4,)),)),
        LayerCounts(name="b", kind="matmul", partner_values=REAL),
    ),
    neurons=(NeuronCounts(name="n", kind="lif", spikes_per_step=(1, 2)),),
    elementwise=(ElementwiseCounts(name="p", kind="relu"), ElementwiseCounts(name="p", kind="add")),
    coverage=Coverage(counted=(OperatorRecord(name="mm", modules=("a",)),)),
    samples=3,
)


def edited(tmp_path, *steps):
    """A saved trace in which the value at the path `steps[:-1]` was replaced by `steps[-1]`, or removed by `...`."""
    save_trace(WHOLE, tmp_path / "t.json")
    document = json.loads((tmp_path / "t.json").read_text())
    *path, last, value = steps
    inner = document
    for step in path:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    (tmp_path / "t.json").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path / "t.json"


HUGE = 10**400


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (("format_version", 3), "format_version must be 2 (got 3); update snn-energy, or write it again"),
        (("format_version", True), "format_version must be 2 (got True); write"),
        (("format_version", 2.0), "format_version must be 2 (got 2.0)"),
        (("format_version", "2"), "format_version must be 2 (got '2')"),
        (("format_version", 1), "format_version must be 2 (got 1); write it again"),
        (("format_version", ...), "format_version must be 2 (got None)"),
        (("samples", -1), "samples must be an integer >= 0 (got -1)"),
        (("samples", True), "samples must be an integer >= 0 (got True)"),
        (("samples", 3.0), "samples must be an integer >= 0 (got 3.0)"),
        (("samples", None), "samples must be an integer >= 0 (got None)"),
        (("time_steps", "4"), "time_steps must be an integer >= 0 (got '4')"),
        (("model", 3), "model must be text without control characters (got 3)"),
        (("model", "a\nb"), "model must be text without control characters (got 'a\\nb')"),
        (("model", "\x1b[31m"), "model must be text without control characters (got '\\x1b[31m')"),
        (("model", "\ud800"), "model must be text without control characters (got '\\ud800')"),
        (("layers", {}), "layers must be a list (got {})"),
        (("layers", 0, []), "layers[0] must be an object (got [])"),
        (("layers", 0, "calls", ...), "layers[0] has no key 'calls' (expected name, kind, "),
        (("layers", 0, "flops", 1), "layers[0] has the unknown key 'flops' (expected name, kind, "),
        (("layers", 0, "events", "7"), "layers[0].events must be an integer >= 0 (got '7')"),
        (("layers", 0, "name", None), "layers[0].name must be text"),
        (("layers", 1, "name", "a"), "layers[1] must differ from layers[0] in its name"),
        (("layers", 0, "values", None), "layers[0].values must be an object (got None)"),
        (("layers", 0, "values", "many", 0), "layers[0].values.many must be true or false (got 0)"),
        (("layers", 0, "values", "eps", -1), "layers[0].values.eps must be a finite number >= 0 (got -1)"),
        (("layers", 0, "values", "magnitudes", [HUGE]), "layers[0].values.magnitudes[0] must be a finite number >= 0"),
        (("layers", 0, "values", "magnitudes", [True]), "layers[0].values.magnitudes[0] must be a finite number >= 0"),
        (("layers", 0, "values", "magnitudes", 1.0), "layers[0].values.magnitudes must be a list (got 1.0)"),
        (("layers", 0, "values", "magnitudes", [0.0]), "layers[0].values must hold ascending magnitudes"),
        (("layers", 0, "values", "magnitudes", [2.0, 1.0]), "layers[0].values must hold ascending magnitudes"),
        (("layers", 0, "values", "magnitudes", [1.0, 2.0**0.5]), "layers[0].values must hold ascending magnitudes"),
        (("layers", 0, "values", "magnitudes", []), "layers[0].values must hold ascending magnitudes"),
        (("layers", 0, "values", "positive", False), "layers[0].values must hold ascending magnitudes"),
        (("layers", 1, "partner_values", "eps", 0.5), "layers[1].partner_values must hold ascending magnitudes"),
        (("layers", 0, "geometry", 0, ["c_in"]), "layers[0].geometry[0] must be a list of 2 (got 1)"),
        (("layers", 0, "geometry", 0, 1, 0, 0.5), "layers[0].geometry[0][1][0] must be an integer >= 0 (got 0.5)"),
        (("neurons", 0, "spikes_per_step", 1, -2), "neurons[0].spikes_per_step[1] must be an integer >= 0 (got -2)"),
        (("elementwise", 1, "kind", "relu"), "elementwise[1] must differ from elementwise[0] in its name or kind"),
        (("coverage", ...), "the trace has no key 'coverage'"),
        (("energy_pj", 1.0), "the trace has the unknown key 'energy_pj'"),
        (("coverage", "free", ...), "coverage has no key 'free'"),
        (("coverage", "never_called", [1]), "coverage.never_called[0] must be text"),
        (("coverage", "counted", 0, "modules", "a"), "coverage.counted[0].modules must be a list (got 'a')"),
    ],
)  # fmt: skip
def test_whatever_does_not_fit_the_records_is_refused(tmp_path, steps, message):
    assert refused(edited(tmp_path, *steps), TraceError).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a trace file (got an empty file); write it again with: snn-energy profile"),
        (b"hello", "expected a trace file (got text that is no JSON: "),
        (b'{"format": NaN}', "expected a trace file (got text that is no JSON: NaN is no JSON number)"),
        (b'{"samples": -Infinity}', "expected a trace file (got text that is no JSON: -Infinity is no JSON number)"),
        (b'{"samples": 1, "samples": 2}', "expected a trace file (got text that is no JSON: key 'samples' twice"),
        (b"[" * 100_000, "expected a trace file (got text that is no JSON: "),
        (b"9" * 5_000, "expected a trace file (got text that is no JSON: "),
        (b"\xff\xfe{}", "expected a trace file (got bytes that are no UTF-8 text)"),
        (b"[]", 'expected a trace file, with "format": "snn-energy-trace" (got other JSON)'),
        (b'{"format": 1, "rows": []}', 'expected a trace file, with "format": "snn-energy-trace" (got a report)'),
        (b"\x1f\x8b", "expected a whole gzip file (got a truncated or damaged one: "),
        (gzip.compress(b"{}", mtime=0)[:-9], "expected a whole gzip file (got a truncated or damaged one: "),
        (gzip.compress(b"{}", mtime=0)[:-8] + bytes(8), "expected a whole gzip file (got a truncated or damaged one: "),
        (gzip.compress(b"{}", mtime=0) + b"more", "expected a whole gzip file (got a truncated or damaged one: "),
        (gzip.compress(b"", mtime=0), "expected a trace file (got text that is no JSON: "),
    ],
)
def test_whatever_is_no_trace_file_is_refused(tmp_path, content, message):
    path = tmp_path / "t.json.gz"
    path.write_bytes(content)
    assert refused(path, DataError).startswith(message)


def test_infinity_spelt_as_a_number_is_refused(tmp_path):
    path = edited(tmp_path, "samples", 3)
    path.write_text(path.read_text().replace("[0.5]", "[1e999]"))
    assert refused(path, TraceError).startswith("layers[0].values.magnitudes[0] must be a finite number >= 0 (got inf)")


def test_a_missing_file_and_a_directory_are_told_apart(tmp_path):
    assert refused(tmp_path / "none.json", DataError).startswith("no such trace file; write it again with")
    assert refused(tmp_path, DataError) == "expected a trace file (got a directory); name the file itself"
    assert refused(edited(tmp_path, "samples", 3) / "x", DataError).startswith("cannot read this trace file")


def test_a_small_file_cannot_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("snn_energy.counting.tracefile.MAX_BYTES", 10_000)
    for name, content in (("t.gz", gzip.compress(b" " * 10_001)), ("t.json", b" " * 10_001)):
        (tmp_path / name).write_bytes(content)
        assert refused(tmp_path / name, DataError).startswith("expected at most 10,000 bytes, uncompressed (got more)")
    with pytest.raises(TraceError, match="expected at most 10,000 bytes"):
        save_trace(replace(WHOLE, model="x" * 10_000), tmp_path / "t.json")


@given(data=st.data())
def test_damage_anywhere_is_an_error_of_ours_or_a_readable_trace(folder, data):
    """Cut the file, or change one byte: never a traceback."""
    path = folder / data.draw(st.sampled_from(("d.json", "d.json.gz")))
    save_trace(WHOLE, path)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:at]
    else:
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    found, complaint = None, ""
    try:
        found = load_trace(path)
    except SnnEnergyError as problem:
        complaint = str(problem)
    if found is None:
        assert len(complaint.splitlines()) == 1
    else:
        assert all(str(layer.operand) for layer in found.layers)
        assert reloaded(found, folder) == found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (replace(WHOLE, samples=-1), "samples must be an integer >= 0 (got -1); correct the record before saving it"),
        (replace(WHOLE, samples=float("nan")), "samples must be an integer >= 0 (got nan)"),
        (replace(WHOLE, layers=WHOLE.layers[:1] * 2), "layers[1] must differ from layers[0] in its name"),
        (replace(WHOLE, coverage=None), "coverage must be an object (got None)"),
        (replace(WHOLE, layers=(replace(WHOLE.layers[0], values=ValueSet((1.5, 1.0))),)), "layers[0].values must hold"),
        ({"samples": 3}, "expected a Trace (got dict); make one with trace()"),
        (price(WHOLE), "expected a Trace (got Report); pass its .trace"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(tmp_path, value, message):
    with pytest.raises(TraceError) as caught:
        save_trace(value, tmp_path / "t.json")
    assert str(caught.value).startswith(f"save_trace: {message}")
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_survives_a_failed_write(tmp_path):
    save_trace(WHOLE, tmp_path / "t.json")
    with pytest.raises(TraceError):
        save_trace(replace(WHOLE, samples=-1), tmp_path / "t.json")
    assert load_trace(tmp_path / "t.json") == WHOLE
    with pytest.raises(SnnEnergyError, match="it is a folder"):
        save_trace(WHOLE, tmp_path)
