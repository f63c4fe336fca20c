"""Runs that stop early or are resumed: the same bytes as a run that was never interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
import torch
from reporting_helpers import SPEC, digits, lively_cnn
from torch import nn

import snn_energy as se
from snn_energy.counting.tracefile import trace_bytes
from snn_energy.errors import DataError, TraceError, UncountedError, UsageError
from snn_energy.models import LIF
from snn_energy.reporting.assessment import assess
from snn_energy.reporting.document import checked
from snn_energy.reporting.facts import facts
from snn_energy.reporting.identity import DataDigest, model_digest
from snn_energy.reporting.markdown import markdown
from snn_energy.reporting.outcome import Outcome, Score, outcome_of_bytes
from snn_energy.reporting.partial import Keeper, partial_path
from snn_energy.reporting.spread_facts import sampled_energies
from snn_energy.reporting.terminal import terminal_text
from snn_energy.training import evaluate, load_images


class Drawing(nn.Module):
    """Draws its input spikes afresh in every call: what a run gives depends on torch's random numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.fc, self.neuron, self.out = nn.Linear(64, 6), LIF(threshold=0.2), nn.Linear(6, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        drawn = (torch.rand(3, *x.flatten(1).shape) < x.flatten(1)).float()
        return self.out(self.neuron(self.fc(drawn))).mean(0)


def interrupted_after(samples: int) -> Callable[[int], None]:
    """A progress callback that presses Ctrl-C once this many samples are through."""
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        if done >= samples:
            raise KeyboardInterrupt

    return progress


def run(build, path, resume, progress=None, *, baseline=False, **options):
    torch.manual_seed(11)
    keeper = Keeper(path, resume=resume, interval_s=0)
    result = assess(build(), digits(50, 8), keeper=keeper, progress=progress, dataset="d", baseline=baseline, **options)
    return result.to_json(), trace_bytes(result.report.trace, "test")


CASES = [
    ("t.json.gz", lively_cnn, {"baseline": True}),
    ("t.json", lively_cnn, {"per_sample": True}),
    ("t.json.gz", lively_cnn, {"until": 0.09}),
    ("t.json", Drawing, {"per_sample": True}),
]


@pytest.mark.parametrize(("name", "build", "options"), CASES)
def test_an_interrupted_run_ends_with_the_bytes_of_one_that_was_not(tmp_path, name, build, options):
    """Interrupted in the first batch, in the middle, behind the last batch of the network, and in its twin."""
    whole = run(build, tmp_path / "whole.json", False, **options)
    path = tmp_path / name
    used = json.loads(whole[0])["samples"]
    assert (used < 50) == ("until" in options)
    for stop in (1, 21, used, *([used + 9] if "baseline" in options else [])):
        with pytest.raises(KeyboardInterrupt):
            run(build, path, False, interrupted_after(stop), **options)
        assert run(build, path, True, **options) == whole
        partial_path(path).unlink()


def test_a_run_may_be_interrupted_again_and_again(tmp_path):
    whole = run(Drawing, tmp_path / "whole.json", False)
    for stop, kept in ((9, 1), (25, 3), (33, 4)):  # what was done before counts as progress
        with pytest.raises(KeyboardInterrupt):
            run(Drawing, tmp_path / "t.json", True, interrupted_after(stop))
        assert outcome_of_bytes(partial_path(tmp_path / "t.json").read_bytes(), "t")[0].batches == kept
    assert run(Drawing, tmp_path / "t.json", True) == whole


def test_a_run_killed_at_any_moment_goes_on_from_the_last_state_written(tmp_path):
    """A kill leaves no chance to write: whatever was written last is a state to go on from."""
    states = []

    class Copying(Keeper):
        def note(self, outcome: Outcome, seen: str, random: str | None, *, now: bool = False) -> None:
            super().note(outcome, seen, random, now=now)
            states.append(self.path.read_bytes())

    torch.manual_seed(11)
    copying = Copying(tmp_path / "t.json", interval_s=0)
    whole = assess(Drawing(), digits(50, 8), keeper=copying, dataset="d", baseline=False).to_json()
    assert len(set(states)) == 7
    for state in set(states):
        partial_path(tmp_path / "t.json").write_bytes(state)
        assert run(Drawing, tmp_path / "t.json", True)[0] == whole


def test_the_accuracy_is_carried_over(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(lively_cnn, tmp_path / "t.json", False, interrupted_after(30))
    resumed = json.loads(run(lively_cnn, tmp_path / "t.json", True)[0])
    assert resumed["samples"] == 50
    right = evaluate(lively_cnn(), load_images("digits", limit=50), SPEC)
    assert resumed["accuracy"] == {"correct": right.correct, "total": 50}
    assert Score(correct=1, total=2, missing=None) + Score(missing="a") + Score(missing="b") == Score(
        correct=1, total=2, missing="a"
    )


def test_steps_give_what_a_run_at_once_gives(tmp_path):
    stepwise = run(lively_cnn, tmp_path / "t.json", False, baseline=True)[0]
    assert stepwise == assess(lively_cnn(), digits(50, 8), dataset="d").to_json()


class Keeping(nn.Module):
    """Keeps its membrane potential from batch to batch, as simulators do that nobody resets."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.fc, self.decay, self.out = nn.Linear(64, 6, bias=False), nn.Parameter(torch.tensor(0.9)), nn.Linear(6, 10)
        self.potential = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        current = self.fc(x.flatten(1))
        kept = torch.zeros_like(current) if self.potential is None else self.potential
        self.potential = self.decay * kept + current
        return self.out((self.potential > 0.3).float())


@pytest.mark.parametrize("options", [{}, {"per_sample": True}])
def test_what_a_network_keeps_from_batch_to_batch_costs_the_same_in_steps(tmp_path, options):
    stepwise = assess(Keeping(), digits(48, 8), keeper=Keeper(tmp_path / "t.json"), **options)
    at_once = assess(Keeping(), digits(48, 8), **options)
    assert stepwise.to_json() == at_once.to_json()
    (leak,) = [record for record in stepwise.report.trace.elementwise if record.kind == "mul"]
    assert leak.muls == 48 * 6


def test_the_state_is_written_from_time_to_time(tmp_path):
    written = []

    class Watched(Keeper):
        def note(self, outcome: Outcome, seen: str, random: str | None, *, now: bool = False) -> None:
            written.append((outcome.trace.samples, now))

    assess(lively_cnn(), digits(24, 10), keeper=Watched(tmp_path / "t.json"))
    assert written == [(10, False), (20, False), (24, False), (24, True)]
    keeper = Keeper(tmp_path / "t.json", interval_s=3600)
    keeper.note(Outcome(), "", None)
    assert not keeper.exists()
    keeper.note(Outcome(), "", None, now=True)
    assert keeper.exists()
    keeper.remove()
    keeper.remove()
    assert not keeper.exists()


def test_a_failure_keeps_what_was_done(tmp_path):
    """Not only Ctrl-C: a sample that the network cannot take costs that batch alone."""
    good = [(x, labels) for x, labels in digits(24, 8)()]
    bad = [*good[:2], (torch.ones(2, 5), None)]
    with pytest.raises(DataError, match=r"got \[2, 5\]"):
        assess(lively_cnn(), lambda: iter(bad), keeper=Keeper(tmp_path / "t.json"))
    assert outcome_of_bytes(partial_path(tmp_path / "t.json").read_bytes(), "t")[0].batches == 2
    resumed = assess(lively_cnn(), lambda: iter(good), keeper=Keeper(tmp_path / "t.json", resume=True))
    assert resumed.to_json() == assess(lively_cnn(), lambda: iter(good)).to_json()


# ---------------------------------------------------------------- whose state it is


@pytest.fixture
def left(tmp_path):
    """The partial trace of an interrupted run."""
    with pytest.raises(KeyboardInterrupt):
        run(lively_cnn, tmp_path / "t.json", False, interrupted_after(30))
    return tmp_path / "t.json"


def other_weights():
    model = lively_cnn()
    with torch.no_grad():
        next(model.parameters()).view(-1)[3] += 1e-6
    return model


def other_steps():
    model = lively_cnn()
    model.time_steps = 4
    return model


@pytest.mark.parametrize(
    ("build", "options", "what"),
    [
        (other_weights, {}, "another network"),
        (other_steps, {}, "another network"),
        (Drawing, {}, "another network"),
        (lively_cnn, {"time_steps": 7}, "another time steps"),
        (lively_cnn, {"per_sample": True}, "another choice of --per-sample"),
        (lively_cnn, {"identity": {"data set": "other"}}, "another data set"),
    ],
)
def test_the_state_of_another_run_is_refused(left, build, options, what):
    before = partial_path(left).read_bytes()
    with pytest.raises(UsageError, match=rf"t\.json\.partial: cannot resume, it was made with {what} \(got ") as caught:
        run(build, left, True, **options)
    assert len(str(caught.value).splitlines()) == 1
    assert partial_path(left).read_bytes() == before


def test_other_prices_matter_only_where_they_decide_when_to_stop(left, tmp_path):
    run(lively_cnn, left, True, hardware="horowitz-45nm-int8")
    until = tmp_path / "u.json"
    with pytest.raises(KeyboardInterrupt):
        run(lively_cnn, until, False, interrupted_after(30), until=0.01)
    with pytest.raises(UsageError, match=r"another choice of --until \(got 0\.01 on horowitz-45nm-int8 by arithmetic"):
        run(lively_cnn, until, True, until=0.01, hardware="horowitz-45nm-int8")


@pytest.mark.parametrize("change", ["pixel", "label", "size", "short"])
def test_other_data_are_refused(left, change):
    batches = list(digits(50, 10 if change == "size" else 8)())
    if change == "pixel":
        batches[1][0][0, 0, 3, 3] += 0.5
    if change == "label":
        batches[2][1][0] = 7
    if change == "short":
        batches = batches[:1]
    with pytest.raises(UsageError, match="cannot resume, it was made with other data"):
        assess(lively_cnn(), lambda: iter(batches), keeper=Keeper(left, resume=True))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"{}\n{}",
        b'{"format": "snn-energy-partial"}\n',
        b"[]\n[]",
        b'{"batches": 1, "score": {"x": 1}}\n',
    ],
)
def test_a_file_that_is_no_partial_trace_is_refused(left, content):
    partial_path(left).write_bytes(content)
    with pytest.raises((DataError, TraceError)) as caught:
        run(lively_cnn, left, True)
    assert str(caught.value).startswith(str(partial_path(left)))
    assert len(str(caught.value).splitlines()) == 1


def test_a_newer_partial_trace_is_refused(left):
    path = partial_path(left)
    path.write_bytes(path.read_bytes().replace(b'"format_version": 1', b'"format_version": 2', 1))
    with pytest.raises(DataError, match="expected a partial trace of version 1; leave --resume out"):
        run(lively_cnn, left, True)


def test_digests():
    assert model_digest(lively_cnn()) == model_digest(lively_cnn())
    empty = DataDigest()
    one = empty.with_batch((torch.ones(2, 3), None))
    assert empty.text() == DataDigest().text() != one.text()
    others = [
        (torch.ones(3, 2), None),
        (torch.ones(2, 3).double(), None),
        (torch.ones(2, 3), torch.ones(2)),
        (torch.tensor(1.0), None),
    ]
    assert len({one.text(), *(empty.with_batch(batch).text() for batch in others)}) == 5
    assert empty.with_batch((torch.ones(6).reshape(3, 2).t(), None)).text() == one.text()

    class Holding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lazy, self.function, self.threshold = nn.LazyLinear(2), lambda: None, 1.0

        def extra_repr(self) -> str:
            return f"{self.function}"

    first, second = Holding(), Holding()
    assert model_digest(first) == model_digest(second)
    second.threshold = 2.0
    assert model_digest(first) != model_digest(second)


# ---------------------------------------------------------------- distribution and early stop in the report


def test_the_distribution_in_every_form():
    value = assess(lively_cnn(), digits(40, 8), per_sample=True).to_dict()
    assert checked(value, "x") == value
    spread = value["distribution"]
    energies = se.profile(lively_cnn(), [x for x, _ in digits(40, 1)()], per_sample=True).samples_pj
    assert (spread["samples"], spread["min_pj"], spread["max_pj"]) == (40, min(energies), max(energies))
    assert value["baseline"]["distribution"] is None
    assert value["stopping"] is None
    lines = [text for label, text in facts(value) if label == "distribution"]
    # Two significant digits of half the interval, and of the standard deviation, say where the others end.
    half = digits_kept((spread["ci95_high_pj"] - spread["ci95_low_pj"]) / 2e3)
    low, high = (f"{spread[f'ci95_{end}_pj'] / 1e3:.{half}f} nJ" for end in ("low", "high"))
    each = digits_kept(spread["sd_pj"] / 1e3)
    assert 0 <= each <= half <= 3
    assert len(lines) == 1
    assert lines[0].startswith(
        f"energy per inference {spread['mean_pj'] / 1e3:.{half}f} nJ, 95 % interval {low} to {high} ("
    )
    assert lines[0].endswith(f"p95 {spread['p95_pj'] / 1e3:.{each}f} nJ over 40 samples")
    assert f"- **distribution:** {lines[0]}" in markdown(value)
    printed = " ".join(terminal_text(value).split())
    assert f"distribution {lines[0]}" in printed
    assert f"standard deviation {spread['sd_pj'] / 1e3:.{each}f} nJ, median " in printed


def digits_kept(uncertain: float) -> int:
    """Decimals that two significant digits of a number have."""
    return -int(Decimal(f"{uncertain:.1e}").as_tuple().exponent)


@pytest.mark.parametrize(
    ("mean", "half", "sd", "told"),
    [
        (11689.0, 250.0, 1000.0, ("11.69 nJ", "11.44 nJ to 11.94 nJ", "13.5 nJ")),
        (11689.0, 0.0, 0.0, ("11.689 nJ", "11.689 nJ to 11.689 nJ", "13.459 nJ")),  # equal samples: as ever
        (11689.0, 0.001, 0.002, ("11.689 nJ", "11.689 nJ to 11.689 nJ", "13.459 nJ")),  # never more than ever
        (11689.0, 12000.0, 20000.0, ("12 nJ", "0 nJ to 24 nJ", "13 nJ")),  # no energy lies below 0
    ],
)
def test_a_distribution_has_no_more_digits_than_it_deserves(mean, half, sd, told):
    spread = {
        "samples": 50, "mean_pj": mean, "sd_pj": sd, "ci95_low_pj": mean - half, "ci95_high_pj": mean + half,
        "precision": half / mean, "median_pj": mean, "p95_pj": 13459.0, "min_pj": 9708.0, "max_pj": 14359.0,
    }  # fmt: skip
    texts = sampled_energies(spread)
    assert (texts["mean"], f"{texts['ci95_low']} to {texts['ci95_high']}", texts["p95"]) == told


def test_one_sample_has_no_interval():
    value = assess(lively_cnn(), digits(1, 1), per_sample=True, baseline=False).to_dict()
    (line,) = [text for label, text in facts(value) if label == "distribution"]
    assert line.endswith("no interval over 1 sample")


def test_the_report_says_that_it_stopped_and_where():
    value = assess(lively_cnn(), digits(360, 6), until=0.05).to_dict()
    used = value["samples"]
    assert 30 <= used < 360
    assert used % 6 == 0
    assert value["baseline"]["samples"] == used
    assert value["accuracy"]["total"] == used
    stopping = value["stopping"]
    assert stopping == {
        "target": 0.05, "precision": value["distribution"]["precision"], "reached": True, "samples": used,
        "minimum_samples": 30,
    }  # fmt: skip
    (line,) = [text for label, text in facts(value) if label == "stopping"]
    assert line.startswith(f"sequential, after {used} samples: ")
    assert "5 % asked for" in line
    before = assess(lively_cnn(), digits(used - 6, 6), per_sample=True, baseline=False).report.distribution
    assert used == 30 or before.precision > 0.05


@pytest.mark.parametrize(("count", "until", "end"), [(12, 0.5, " (at least 30 samples are needed)"), (36, 0.001, "")])
def test_data_that_end_first_are_said_to(count, until, end):
    value = assess(lively_cnn(), digits(count, 6), until=until, baseline=False).to_dict()
    assert value["stopping"]["reached"] is False
    (line,) = [text for label, text in facts(value) if label == "stopping"]
    assert line.startswith(f"the data ended before {100 * until:.3g} % of the mean: ")
    assert line.endswith(f"after {count} samples{end}")


def test_strict_is_about_every_batch(tmp_path):
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.neuron = nn.Linear(64, 4), LIF()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.fft.fft(self.neuron(self.fc(x.flatten(1))[None]).mean(0)).real

    with pytest.raises(UncountedError, match=r"^strict: "):
        assess(Odd(), digits(), strict=True, keeper=Keeper(tmp_path / "t.json"))


def test_no_data_no_report(tmp_path):
    with pytest.raises(DataError, match="the data are empty"):
        assess(lively_cnn(), list, until=0.1)
    with pytest.raises(DataError, match="the data are empty"):
        assess(lively_cnn(), list, keeper=Keeper(tmp_path / "t.json"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["distribution", "stopping"])
def test_a_document_with_a_wrong_distribution_is_refused(key):
    value = assess(lively_cnn(), digits(40, 8), until=0.5, baseline=False).to_dict()
    for wrong, message in (
        ([], r"x: {} must be null or an object \(got \[\]\); "),
        ({**value[key], "precision": "small"}, r"x: {}.precision must be a number >= 0 or null \(got 'small'\); "),
        ({**value[key], "samples": float("nan")}, r"x: {}.samples must be an integer >= 1 \(got nan\); "),
    ):
        with pytest.raises(DataError, match=message.format(key)):
            checked({**value, key: wrong}, "x")


def test_the_interval_of_two_samples_may_reach_below_zero():
    """A negative end is no damage: t = 12.7 at one degree of freedom."""
    value = assess(lively_cnn(), digits(2, 1), per_sample=True, baseline=False).to_dict()
    value["distribution"]["ci95_low_pj"] = -1.0
    assert checked(value, "x") == value
