"""The trap suite judges as it says: a wrong answer fails whatever a row asks for, and nothing is left behind."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import library, nn

from snn_energy.errors import TraceError, UsageError
from snn_energy.selftest import (
    QUESTIONS,
    ROWS,
    Promise,
    Result,
    Row,
    as_document,
    as_list,
    headline,
    matching,
    run_row,
    run_rows,
)
from snn_energy.selftest.pieces import Fn, linear, real, row
from snn_energy.selftest.rows import trap
from snn_energy.selftest.traps.attention import SSA_K, SSA_Q, SSA_V, bits


def with_answer(id: str, **expect: int | str) -> Row:
    return replace(ROWS[id], expect={**ROWS[id].expect, **expect})


def holds(row: Row) -> bool:
    return run_row(row).ok


# ---------------------------------------------------------------- judging


@pytest.mark.parametrize(
    ("id", "question"), [("T4", "events"), ("T4", "dense_macs"), ("T12", "macs"), ("T18", "updates")]
)
@pytest.mark.parametrize("error", [-1, 1])
def test_an_answer_off_by_one_fails(id: str, question: str, error: int) -> None:
    right = ROWS[id].expect[question]
    assert isinstance(right, int)
    assert not holds(with_answer(id, **{question: right + error}))


def test_a_wrong_class_fails() -> None:
    assert not holds(with_answer("N16", operand="binary"))


@library.custom_op("snn_energy_tests::mystery", mutates_args=())
def mystery(x: torch.Tensor) -> torch.Tensor:
    """An operator that no table can know."""
    return x @ x.t()


MYSTERY = Row(
    id="mystery",
    title="an operator of somebody's own",
    build=lambda: Fn(lambda m, x: mystery(x)),
    feed=lambda: real(2, 4),
    why="2 x 4 x 2",
    expect={"connections": 16},
    promise=Promise.HONEST,
)
BOUND = 32  # 4 outputs against 8 inputs


def test_an_exact_row_must_be_complete() -> None:
    assert holds(MYSTERY)
    assert not holds(replace(MYSTERY, promise=Promise.EXACT))
    assert not holds(replace(MYSTERY, promise=Promise.EXACT, expect={"connections": 0}))


def test_an_honest_row_needs_a_bound_that_holds() -> None:
    assert run_row(MYSTERY).note == f"uncounted: snn_energy_tests::mystery, at most {BOUND} MACs"
    assert holds(replace(MYSTERY, expect={"connections": BOUND}))
    assert not holds(replace(MYSTERY, expect={"connections": BOUND + 1}))
    counted = replace(ROWS["T6"], promise=Promise.HONEST)  # what is counted must be right
    assert holds(counted)
    assert not holds(replace(counted, expect={"connections": 99}))
    assert not holds(replace(counted, expect={"connections": 101}))


def raising(row: Row, error: BaseException) -> Row:
    def build() -> nn.Module:
        raise error

    return replace(row, build=build)


def test_an_honest_row_accepts_a_refusal_of_one_line_but_no_crash() -> None:
    assert holds(raising(MYSTERY, TraceError("no")))
    assert not holds(raising(MYSTERY, TraceError("no\nno")))
    assert not holds(raising(MYSTERY, RuntimeError("no")))
    assert not holds(raising(replace(MYSTERY, promise=Promise.EXACT), TraceError("no")))


def test_a_refusal_must_come_and_name_its_reason() -> None:
    assert not holds(replace(ROWS["N130"], refusal="something else"))
    assert not holds(replace(ROWS["N130"], feed=lambda: row(1.0)))


def test_at_least_is_no_more_than_that() -> None:
    some = replace(MYSTERY, promise=Promise.AT_LEAST, expect={"work": BOUND})
    assert holds(some)
    assert not holds(replace(some, expect={"work": BOUND + 1}))
    assert not holds(raising(some, TraceError("no")))


def test_a_crash_is_a_failed_row_and_not_the_end() -> None:
    first, second = run_rows([raising(ROWS["T4"], ValueError("no such network")), ROWS["T4"]])
    assert (first.ok, first.got, first.note) == (False, {}, "ValueError: no such network")
    assert second.ok


# ---------------------------------------------------------------- the table


def test_spiking_attention_by_loops() -> None:
    """The one answer that takes more than a line: pairs of T17 that are both not 0, in plain Python."""
    q, k, v = (bits(text).tolist() for text in (SSA_Q, SSA_K, SSA_V))
    scores = [[[sum(a * b for a, b in zip(x, y)) for y in k[h]] for x in q[h]] for h in range(2)]
    first = sum(1 for h, i, j, d in product(range(2), range(16), range(16), range(8)) if q[h][i][d] and k[h][j][d])
    second = sum(
        1 for h, i, j, d in product(range(2), range(16), range(16), range(8)) if scores[h][i][j] and v[h][j][d]
    )
    assert (first, second) == (153, 206)
    assert ROWS["T17"].expect["events"] == first + second


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_row_asks_something_and_says_why(row: Row) -> None:
    assert row.why
    assert len(row.title) <= 60
    assert bool(row.refusal) == (row.promise is Promise.REFUSED) != bool(row.expect)
    assert {question.rpartition(": ")[2] for question in row.expect} <= set(QUESTIONS)
    for said in row.said:
        assert isinstance(said.answer, str) or set(said.answer) <= set(QUESTIONS)


def test_a_second_row_of_one_id_is_refused() -> None:
    with pytest.raises(UsageError, match="there is a row 'T4' already"):
        trap("T4", "another", linear, lambda: row(1.0), "", events=10)


def test_an_unknown_question_is_refused() -> None:
    result = run_row(with_answer("T4", synops=64))
    assert (result.ok, result.note.startswith("UsageError: selftest: unknown question 'synops'; one of: ")) == (
        False,
        True,
    )
    result = run_row(with_answer("T4", **{"nowhere: events": 64}))
    assert "no layer 'nowhere'" in result.note


def test_matching_looks_at_ids_titles_and_tools() -> None:
    assert [row.id for row in matching(ROWS.values(), "t4b")] == ["T4b"]
    assert "N63" in [row.id for row in matching(ROWS.values(), "Packed")]
    assert {row.id for row in matching(ROWS.values(), "syops")} >= {"T4", "T5", "T12-mha"}
    assert matching(ROWS.values(), "") == list(ROWS.values())
    assert matching(ROWS.values(), "no such thing") == []


# ---------------------------------------------------------------- running


def test_nothing_is_left_behind() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    run_rows([ROWS["T8"], ROWS["N122"], ROWS["R12-conv"]])
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


def test_results_are_announced_one_by_one() -> None:
    seen: list[Result] = []
    results = run_rows(matching(ROWS.values(), "T4"), on_result=seen.append)
    assert seen == results
    assert [result.row.id for result in results][:2] == ["T4", "T4b"]


def test_a_device_that_is_not_there_is_wrong_usage() -> None:
    with pytest.raises(
        UsageError, match=r'^device "cuda:99" cannot be used: [^.]*; choose cpu, or mend the installation$'
    ):
        run_rows([ROWS["T4"]], "cuda:99")


def test_a_row_for_the_cpu_is_left_out_elsewhere() -> None:
    assert [result.row.id for result in run_rows([ROWS["N89"], ROWS["H13"]], "meta")] == ["H13"]
    assert [result.row.id for result in run_rows([ROWS["N89"]])] == ["N89"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_every_row_on_cuda() -> None:
    assert [result.row.id for result in run_rows(ROWS.values(), "cuda") if not result.ok] == []


# ---------------------------------------------------------------- documents


def test_the_document_is_plain_and_as_documented() -> None:
    wrong = with_answer("T4", events=65)
    document = as_document(run_rows([ROWS["T4b"], wrong, ROWS["N130"]]), "cpu")
    assert json.loads(json.dumps(document)) == document
    assert (document["format"], document["format_version"]) == ("snn-energy-selftest", 1)
    assert (document["passed"], document["failed"], document["device"]) == (2, 1, "cpu")
    first, second, third = document["rows"]
    assert first["said"] == [
        {"tool": "syops 0.0.5", "answer": {"acs": 36}, "evidence": "measured"},
        {"tool": "Norse pull request 444", "answer": "144", "evidence": "read"},
    ]
    assert (first["id"], first["promise"], first["ok"], first["refusal"]) == ("T4b", "exact", True, None)
    assert (second["ok"], second["expected"]["events"], second["got"]["events"]) == (False, 65, 64)
    assert (third["expected"], third["refusal"], third["got"]) == ({}, "NaN or infinity", {})
    listed = as_list([ROWS["T4b"]], "cpu")
    assert {key: value for key, value in first.items() if key not in ("ok", "got", "note", "seconds")} == {
        key: value for key, value in listed["rows"][0].items() if key not in ("ok", "got", "note", "seconds")
    }
    assert set(listed) == set(document)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (ROWS["T4"], ("events", "64", "64")),
        (ROWS["T8"], ("effective_events", "10", "10")),
        (with_answer("T4", acs=65), ("acs", "65", "64")),
        (ROWS["T12"], ("macs", "512", "512")),
        (ROWS["N130"], ("refusal", "error", "TraceError")),
        (replace(ROWS["N130"], feed=lambda: row(1.0)), ("refusal", "error", "no error")),
        (raising(MYSTERY, TraceError("no")), ("connections", "16", "refused")),
        (MYSTERY, ("connections", "16", "bounded")),
        (replace(MYSTERY, promise=Promise.AT_LEAST, expect={"work": 16}), ("work", ">= 16", "bounded")),
        (replace(ROWS["T4"], feed=lambda: row(1.0)), ("events", "64", "error")),
    ],
    ids=lambda value: value.id if isinstance(value, Row) else "",
)
def test_headlines(row: Row, words: tuple[str, str, str]) -> None:
    assert headline(row, run_row(row)) == words
    assert headline(row)[2] == ""
