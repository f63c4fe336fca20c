"""What a format cannot carry is refused with the whole list, or written with the list: never dropped in silence."""

from __future__ import annotations

import json

import pytest

from snn_energy.errors import UsageError
from snn_energy.exporting import ExportError, ExportRefused, Loss
from snn_energy.exporting.losses import comment_lines, losses_json, refuse_or_list

DILATION = Loss("dilation 2", "blocks.1.conv", "the table has no column for it")
GROUPS = Loss("4 groups", "blocks.2.conv", "the table has no column for them")
WHOLE = Loss("the time axis", "", "one entry\nper inference")


def test_no_loss_passes_with_and_without_force():
    assert refuse_or_list([], False) == ()
    assert refuse_or_list(iter(()), True) == ()


def test_without_force_the_error_names_every_loss_in_one_line_and_carries_them():
    with pytest.raises(ExportRefused) as caught:
        refuse_or_list([DILATION, GROUPS, WHOLE, DILATION], False, target="scalesim")
    assert caught.value.losses == (DILATION, GROUPS, WHOLE)
    assert str(caught.value) == (
        "scalesim: not written: it cannot hold dilation 2 (blocks.1.conv): the table has no column for it;"
        " 4 groups (blocks.2.conv): the table has no column for them; the time axis: one entry per inference;"
        " change the network, or write it with --force, which puts this list into the file"
    )


def test_a_loss_met_in_many_layers_is_said_once_and_the_layers_are_counted():
    losses = [Loss("dilation 2", f"layer{k}", "no column") for k in range(7)]
    with pytest.raises(ExportRefused, match=r"dilation 2 \(layer0, layer1, layer2, layer3 and 3 more\): no column;"):
        refuse_or_list(losses, False)


def test_a_refusal_is_wrong_usage_and_an_export_error():
    error = ExportRefused("x")
    assert isinstance(error, ExportError)
    assert isinstance(error, UsageError)
    assert (error.exit_code, error.losses) == (2, ())


def test_with_force_the_distinct_losses_come_back_in_order():
    assert refuse_or_list([GROUPS, DILATION, GROUPS], True) == (GROUPS, DILATION)


def test_comments_are_one_line_each():
    assert comment_lines([DILATION, WHOLE], "// ") == (
        "// lost in this format (written with --force):",
        "// dilation 2 (blocks.1.conv): the table has no column for it",
        "// the time axis: one entry per inference",
    )
    assert comment_lines([]) == ()


def test_json_holds_each_loss_whole():
    assert json.loads(losses_json([DILATION])) == [
        {"what": "dilation 2", "where": "blocks.1.conv", "why": "the table has no column for it"}
    ]
