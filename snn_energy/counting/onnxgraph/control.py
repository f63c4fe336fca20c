"""Branches and loops of an ONNX graph: the graph inside runs as one of its own, turn by turn, its state carried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from snn_energy.counting.onnxgraph.node import Node
from snn_energy.counting.skeleton import Stage

if TYPE_CHECKING:
    from onnx import NodeProto

    from snn_energy.counting.onnxgraph.graph import Body, OnnxGraph

MOST_TURNS = 1 << 62


def run_inner(outer: Body, owner: OnnxGraph, stage: Stage, proto: NodeProto, node: Node, env: dict[str, Any]) -> None:
    """Charge what runs inside an If, Loop or Scan; its results are onnxruntime's, in `env` already."""
    _RUN[proto.op_type](outer, owner, stage, node, env)
    stage.recorder.note("free", f"onnx::{node.op}", reason="control flow: the graph inside is counted")


def _turn(body: Body, owner: OnnxGraph, stage: Stage, env: dict[str, Any], given: list[Any]) -> list[Any]:
    """One run of a body on these values; returns its results."""
    around = {**env, **dict(zip(body.inputs, given, strict=True))}
    for value in given:
        if isinstance(value, Tensor):
            stage.recorder.is_data(value)
    body.run(owner, stage, around)
    return [around[name] for name in body.outputs]


def _if(outer: Body, owner: OnnxGraph, stage: Stage, node: Node, env: dict[str, Any]) -> None:
    branch = node.get("then_branch" if bool(node.x.any()) else "else_branch")
    _turn(outer.inner(branch), owner, stage, env, [])


def _loop(outer: Body, owner: OnnxGraph, stage: Stage, node: Node, env: dict[str, Any]) -> None:
    """Operands: most turns, first condition, state ...; body: turn, condition, state ... -> condition, state ..."""
    body = outer.inner(node.get("body"))
    limit, going, *state = node.inputs
    turns = MOST_TURNS if limit is None else int(limit)
    go_on = True if going is None else bool(going)
    turn = 0
    while turn < turns and go_on:
        with stage.unseen():
            counter, flag = torch.tensor(turn), torch.tensor(go_on)
        results = _turn(body, owner, stage, env, [counter, flag, *state])
        go_on, state = bool(results[0]), results[1 : 1 + len(state)]
        turn += 1


def _scan(outer: Body, owner: OnnxGraph, stage: Stage, node: Node, env: dict[str, Any]) -> None:
    """Operands: state ..., sequences ...; body: state ..., one element of each sequence ... -> state ..., elements."""
    body = outer.inner(node.get("body"))
    count = node.get("num_scan_inputs")
    state, sequences = list(node.inputs[: len(node.inputs) - count]), node.inputs[len(node.inputs) - count :]
    axes = node.get("scan_input_axes") or [0] * count
    backwards = node.get("scan_input_directions") or [0] * count
    length = sequences[0].shape[axes[0]]
    for turn in range(length):
        with stage.unseen():
            elements = [
                sequence.select(axis, length - 1 - turn if back else turn)
                for sequence, axis, back in zip(sequences, axes, backwards, strict=True)
            ]
        results = _turn(body, owner, stage, env, [*state, *elements])
        state = results[: len(state)]


_RUN = {"If": _if, "Loop": _loop, "Scan": _scan}
