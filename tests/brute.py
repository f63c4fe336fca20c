"""The oracle: what an operator does, counted one synapse at a time in plain Python.

Nothing here is clever. Every operator is a generator of *taps*, one per multiply-accumulate that a dense
implementation would run, and `tally` counts them. Tensors are nested lists (`tensor.tolist()`); there is no
torch and no numpy. The only purpose of this file is to be right by inspection.

A tap is `(value, weight, exists)`: the operand element, the weight it meets, and whether the synapse lies
inside the image. Padding gives taps that do not exist.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from itertools import product
from typing import Any

Nested = Any  # a float, or a list of Nested: mypy cannot say this without recursion that reads worse
Tap = tuple[float, float, bool]
Padding = Sequence[tuple[int, int]]  # (low, high) per axis

INTEGER_LIMIT = 64  # multiples up to this count as "small"; the tests stay far on either side of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts of one or many operator calls. `+` adds them field by field."""

    dense_macs: int = 0
    connections: int = 0
    events: int = 0
    effective_events: int = 0
    spikes: int = 0
    elements: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def times(self, factor: int) -> Tally:
        return Tally(**{f.name: getattr(self, f.name) * factor for f in fields(self)})


def total(tallies: Iterable[Tally]) -> Tally:
    result = Tally()
    for one in tallies:
        result += one
    return result


# ---------------------------------------------------------------- nested lists


def shape(x: Nested) -> list[int]:
    sizes = []
    while isinstance(x, list):
        sizes.append(len(x))
        x = x[0]
    return sizes


def at(x: Nested, index: Sequence[int]) -> Any:
    for i in index:
        x = x[i]
    return x


def flat(x: Nested) -> list[float]:
    if not isinstance(x, list):
        return [x]
    return [value for part in x for value in flat(part)]


def grid(sizes: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """Every index of an array with these sizes."""
    return product(*(range(size) for size in sizes))


# ---------------------------------------------------------------- counting


def tally(taps: Iterable[Tap], operand: Nested) -> Tally:
    dense = connections = events = effective = 0
    for value, weight, exists in taps:
        dense += 1
        if not exists:
            continue
        connections += 1
        if value != 0:
            events += 1
            if weight != 0:
                effective += 1
    values = flat(operand)
    return Tally(
        dense_macs=dense,
        connections=connections,
        events=events,
        effective_events=effective,
        spikes=sum(value != 0 for value in values),
        elements=len(values),
    )


def unit_events(taps: Iterable[Tap], scale: float) -> int:
    """Accumulates that a binary chip needs: an operand of n units is n of them."""
    units = sum(abs(Fraction(value)) / abs(Fraction(scale)) for value, _, exists in taps if exists)
    if Fraction(units).denominator != 1:
        raise ValueError(f"{units} is not a whole number of units of {scale}")
    return int(units)


def operand_class(values: Iterable[float]) -> tuple[str, float | None]:
    """(kind, scale) of a set of operand values: silent, binary, ternary, integer or real."""
    present = {Fraction(value) for value in values if value != 0}
    if not present:
        return "silent", None
    if len(present) == 1:
        return "binary", float(next(iter(present)))
    sizes = {abs(value) for value in present}
    if len(sizes) == 1:
        return "ternary", float(next(iter(sizes)))
    step = Fraction(0)
    for size in sizes:
        step = _gcd(step, size)
    if max(sizes) / step <= INTEGER_LIMIT:
        return "integer", float(step)
    return "real", None


def channel_class(x: Nested) -> str | None:
    """Class of x [n c ...] if every channel has one height: binary, ternary, or None where some channel has two.

    None as well where the data do not prove it: in half of the active channels a spike must have come twice and gone
    once.
    """
    active = proven = 0
    signs = set()
    for channel in range(len(x[0])):
        values = [value for sample in x for value in flat(sample[channel])]
        present = [value for value in values if value != 0]
        if len({abs(value) for value in present}) > 1:
            return None
        signs |= {value > 0 for value in present}
        active += bool(present)
        proven += len(present) >= 2 and len(present) < len(values)
    if 2 * proven < active or not active:
        return None
    return "ternary" if len(signs) == 2 else "binary"


def _gcd(a: Fraction, b: Fraction) -> Fraction:
    while b:
        a, b = b, a % b
    return a


# ---------------------------------------------------------------- convolutions


def same_padding(kernel: Sequence[int], dilation: Sequence[int]) -> list[tuple[int, int]]:
    """padding='same': d(k-1) in all, the odd one on the high side."""
    totals = [d * (k - 1) for k, d in zip(kernel, dilation)]
    return [(t // 2, t - t // 2) for t in totals]


def _zeros(place: int, size: int) -> int | None:
    return place if 0 <= place < size else None


def _circular(place: int, size: int) -> int | None:
    return place % size


def _reflect(place: int, size: int) -> int | None:
    if place < 0:
        return -place
    if place >= size:
        return 2 * (size - 1) - place
    return place


def _replicate(place: int, size: int) -> int | None:
    return min(max(place, 0), size - 1)


PADDING_MODES = {"zeros": _zeros, "circular": _circular, "reflect": _reflect, "replicate": _replicate}


def conv_taps(
    x: Nested,
    w: Nested,
    *,
    stride: Sequence[int],
    padding: Padding,
    dilation: Sequence[int],
    groups: int = 1,
    mode: str = "zeros",
) -> Iterator[Tap]:
    """x: [n c *size], w: [o c/groups *kernel]."""
    n, _, *size = shape(x)
    outs, ins, *kernel = shape(w)
    source = PADDING_MODES[mode]
    out = [
        (s + low + high - d * (k - 1) - 1) // step + 1
        for s, (low, high), d, k, step in zip(size, padding, dilation, kernel, stride)
    ]
    for sample in range(n):
        for o in range(outs):
            group = o // (outs // groups)
            for position in grid(out):
                for i in range(ins):
                    for tap in grid(kernel):
                        weight = at(w, (o, i, *tap))
                        places = [
                            source(p * step + t * d - low, s)
                            for p, step, t, d, (low, _), s in zip(position, stride, tap, dilation, padding, size)
                        ]
                        inside = [p for p in places if p is not None]
                        if len(inside) < len(places):
                            yield 0.0, weight, False
                        else:
                            yield at(x, (sample, group * ins + i, *inside)), weight, True


def conv(x: Nested, w: Nested, **geometry: Any) -> Tally:
    return tally(conv_taps(x, w, **geometry), x)


def conv_transpose_taps(
    x: Nested,
    w: Nested,
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> Iterator[Tap]:
    """x: [n c *size], w: [c o/groups *kernel]. Each input element scatters into the output; padding crops."""
    n, ins, *size = shape(x)
    _, outs, *kernel = shape(w)
    out = [
        (s - 1) * step - 2 * p + d * (k - 1) + extra + 1
        for s, step, p, d, k, extra in zip(size, stride, padding, dilation, kernel, output_padding)
    ]
    del groups  # every input channel meets the outs channels of its own group, whichever that is
    for sample in range(n):
        for i in range(ins):
            for position in grid(size):
                value = at(x, (sample, i, *position))
                for o in range(outs):
                    for tap in grid(kernel):
                        exists = all(
                            0 <= p * step + t * d - crop < limit
                            for p, step, t, d, crop, limit in zip(position, stride, tap, dilation, padding, out)
                        )
                        yield value, at(w, (i, o, *tap)), exists


def conv_transpose(x: Nested, w: Nested, **geometry: Any) -> Tally:
    return tally(conv_transpose_taps(x, w, **geometry), x)


# ---------------------------------------------------------------- linear maps


def linear_taps(x: Nested, w: Nested) -> Iterator[Tap]:
    """x: [... i], w: [o i]."""
    *lead, ins = shape(x)
    for where in grid(lead):
        row = at(x, where)
        for o in range(len(w)):
            for i in range(ins):
                yield row[i], w[o][i], True


def linear(x: Nested, w: Nested) -> Tally:
    return tally(linear_taps(x, w), x)


def bilinear(x1: Nested, x2: Nested, w: Nested) -> Tally:
    """x1: [... i], x2: [... j], w: [o i j]. A synapse fires when both of its inputs do."""
    outs, ins, jns = shape(w)

    def taps() -> Iterator[Tap]:
        for where in grid(shape(x1)[:-1]):
            left, right = at(x1, where), at(x2, where)
            for o, i, j in grid((outs, ins, jns)):
                both = left[i] if right[j] != 0 else 0.0
                yield both, w[o][i][j], True

    return tally(taps(), [])


# ---------------------------------------------------------------- products of two activations


def einsum(equation: str, a: Nested, b: Nested) -> Tally:
    """Every combination of labels is one connection; it is an event when both factors are non-zero."""
    left, right = equation.split("->")[0].split(",")
    size = dict(zip(left, shape(a))) | dict(zip(right, shape(b)))
    labels = list(size)

    def taps() -> Iterator[Tap]:
        for index in grid(size.values()):
            where = dict(zip(labels, index))
            u = at(a, [where[label] for label in left])
            v = at(b, [where[label] for label in right])
            yield (u if v != 0 else 0.0), 1.0, True

    return tally(taps(), [])


def matmul(a: Nested, b: Nested) -> Tally:
    """torch.matmul: 1-D operands are rows (left) or columns (right); leading axes broadcast."""
    if len(shape(a)) == 1:
        a = [a]
    if len(shape(b)) == 1:
        b = [[value] for value in b]
    *lead_a, m, k = shape(a)
    *lead_b, _, n = shape(b)
    rank = max(len(lead_a), len(lead_b))
    lead_a = [1] * (rank - len(lead_a)) + lead_a
    lead_b = [1] * (rank - len(lead_b)) + lead_b
    lead = [max(p, q) for p, q in zip(lead_a, lead_b)]

    def block(x: Nested, sizes: Sequence[int], where: Sequence[int]) -> Nested:
        own = [0 if size == 1 else i for size, i in zip(sizes, where)]
        return at(x, own[rank - (len(shape(x)) - 2) :])

    def taps() -> Iterator[Tap]:
        for where in grid(lead):
            left, right = block(a, lead_a, where), block(b, lead_b, where)
            for i, j, r in grid((m, n, k)):
                u, v = left[i][r], right[r][j]
                yield (u if v != 0 else 0.0), 1.0, True

    return tally(taps(), [])


def matmul_units(a: Nested, b: Nested) -> int:
    """Accumulates of a binary chip: a [m k] of whole numbers times b [k n] is a[i][r] of them for each b[r][j] != 0."""
    units = 0
    for row in a:
        for r, value in enumerate(row):
            for other in b[r]:
                if other != 0:
                    units += abs(round(value))
    return units


# ---------------------------------------------------------------- attention


def attention(q: Nested, k: Nested, v: Nested, allowed: Nested) -> tuple[dict[str, Tally], Nested]:
    """q: [b l e], k: [b s e], v: [b s d], allowed: [b l s] (truthy where a query may look). Also the output.

    A masked pair is computed and thrown away, so q k^T is dense; its probability is exactly zero, so it is no
    event of the second product.
    """
    scores, mix, outputs = [], [], []
    for query, key, value, may in zip(q, k, v, allowed):
        scores.append(matmul(query, _transpose(key)))
        probabilities = []
        for row, mask in zip(query, may):
            logits = [sum(r * c for r, c in zip(row, col)) / math.sqrt(len(row)) for col in key]
            peak = max(logit for logit, open_ in zip(logits, mask) if open_)
            powers = [math.exp(logit - peak) if open_ else 0.0 for logit, open_ in zip(logits, mask)]
            if any(open_ and power < 1e-30 for power, open_ in zip(powers, mask)):
                raise ValueError("logits too far apart: a probability could underflow in float32")
            probabilities.append([power / sum(powers) for power in powers])
        mix.append(matmul(probabilities, value))
        outputs.append([[sum(p * c for p, c in zip(row, col)) for col in _transpose(value)] for row in probabilities])
    return {"scores": total(scores), "mix": total(mix)}, outputs


def _transpose(x: Nested) -> Nested:
    return [list(column) for column in zip(*x)]


def affine(x: Nested, w: Nested, b: Sequence[float] | None) -> Nested:
    """x: [... i], w: [o i], b: [o]."""
    if isinstance(x[0], list):
        return [affine(part, w, b) for part in x]
    return [
        sum(value * weight for value, weight in zip(x, row)) + (b[o] if b is not None else 0.0)
        for o, row in enumerate(w)
    ]


def multihead(
    q: Nested,
    k: Nested,
    v: Nested,
    *,
    wq: Nested,
    wk: Nested,
    wv: Nested,
    wo: Nested,
    bq: Sequence[float] | None,
    bk: Sequence[float] | None,
    bv: Sequence[float] | None,
    heads: int,
    allowed: Nested,
) -> dict[str, Tally]:
    """q: [n l e], k: [n s ek], v: [n s ev], allowed: [n l s]. Use non-negative numbers: nothing cancels."""
    head = len(wq) // heads

    def split(x: Nested) -> Nested:  # [n l (h d)] -> [(n h) l d]
        return [[row[h * head : (h + 1) * head] for row in sample] for sample in x for h in range(heads)]

    per_head = [mask for mask in allowed for _ in range(heads)]
    parts = split(affine(q, wq, bq)), split(affine(k, wk, bk)), split(affine(v, wv, bv))
    result, mixed = attention(*parts, per_head)
    joined = [
        [[value for h in range(heads) for value in mixed[n * heads + h][row]] for row in range(len(q[n]))]
        for n in range(len(q))
    ]
    result |= {"q": linear(q, wq), "k": linear(k, wk), "v": linear(v, wv), "out": linear(joined, wo)}
    return result


# ---------------------------------------------------------------- recurrence


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentWeights:
    """One layer and direction. w_ih: [g*h i], w_hh: [g*h p], w_hr: [p h] or None; biases [g*h] or None."""

    w_ih: Nested
    w_hh: Nested
    b_ih: Sequence[float] | None = None
    b_hh: Sequence[float] | None = None
    w_hr: Nested = None


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def recurrent_step(
    kind: str, x: Sequence[float], h: Sequence[float], c: Sequence[float], w: RecurrentWeights
) -> tuple[dict[str, Tally], list[float], list[float]]:
    """One sample, one time step of "tanh", "relu", "lstm" or "gru": the tallies and the next h and c."""
    counts = {"weight_ih": linear(x, w.w_ih), "weight_hh": linear(h, w.w_hh)}
    a, b = affine(x, w.w_ih, w.b_ih), affine(h, w.w_hh, w.b_hh)
    width = len(a) // {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}[kind]

    def gate(values: Sequence[float], index: int) -> Sequence[float]:
        return values[index * width : (index + 1) * width]

    if kind == "tanh":
        return counts, [math.tanh(p + q) for p, q in zip(a, b)], []
    if kind == "relu":
        return counts, [max(p + q, 0.0) for p, q in zip(a, b)], []
    if kind == "lstm":
        i, f, g, o = ([p + q for p, q in zip(gate(a, n), gate(b, n))] for n in range(4))
        cell = [_sigmoid(ff) * old + _sigmoid(ii) * math.tanh(gg) for ii, ff, gg, old in zip(i, f, g, c)]
        out = [_sigmoid(oo) * math.tanh(new) for oo, new in zip(o, cell)]
        if w.w_hr is not None:
            counts["weight_hr"] = linear(out, w.w_hr)
            out = affine(out, w.w_hr, None)
        return counts, out, cell
    reset = [_sigmoid(p + q) for p, q in zip(gate(a, 0), gate(b, 0))]
    update = [_sigmoid(p + q) for p, q in zip(gate(a, 1), gate(b, 1))]
    new = [math.tanh(p + r * q) for p, r, q in zip(gate(a, 2), reset, gate(b, 2))]
    return counts, [(1 - z) * n + z * old for z, n, old in zip(update, new, h)], []


def recurrent(
    kind: str,
    x: Nested,
    layers: Sequence[Sequence[RecurrentWeights]],
    h0: Nested = None,
    c0: Nested = None,
) -> dict[str, Tally]:
    """x: [t n i]; layers: [layer][direction]; h0, c0: [layer*direction n h] or None for zeros."""
    steps, samples = len(x), len(x[0])
    counts: dict[str, Tally] = {}
    directions = len(layers[0])
    for level, pair in enumerate(layers):
        outputs = [[[0.0] for _ in range(samples)] for _ in range(steps)]
        merged: list[list[list[float]]] = [[[] for _ in range(samples)] for _ in range(steps)]
        for way, w in enumerate(pair):
            row = level * directions + way
            for n in range(samples):
                h = list(h0[row][n]) if h0 is not None else [0.0] * len(w.w_hh[0])
                hidden = len(w.w_hh) // {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}[kind]
                c = list(c0[row][n]) if c0 is not None else [0.0] * hidden
                order = range(steps) if way == 0 else reversed(range(steps))
                for t in order:
                    step, h, c = recurrent_step(kind, x[t][n], h, c, w)
                    for name, one in step.items():
                        full = f"{name}_l{level}" + ("_reverse" if way else "")
                        counts[full] = counts.get(full, Tally()) + one
                    outputs[t][n] = h
            for t in range(steps):
                for n in range(samples):
                    merged[t][n] = merged[t][n] + outputs[t][n]
        x = merged
    return counts
