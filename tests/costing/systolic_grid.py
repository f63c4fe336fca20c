"""A systolic array, register by register and cycle by cycle: what the closed forms are held against.

Every unit hands what it got from the left to the right and what it got from above downwards, one unit a cycle. The
product that comes out is checked against nested loops, so that a wrong simulation cannot count right.
"""

from __future__ import annotations

from collections.abc import Callable

Matrix = list[list[int]]


def matmul(a: Matrix, b: Matrix) -> Matrix:
    """Nested loops."""
    return [[sum(a[i][j] * b[j][c] for j in range(len(b))) for c in range(len(b[0]))] for i in range(len(a))]


def output_stationary(a: Matrix, b: Matrix, rows: int, cols: int) -> tuple[Matrix, int]:
    """[m k] x [k n]: each unit keeps one output while both operands flow through; cycles until the last sum is done."""
    m, k, n = len(a), len(b), len(b[0])
    out = [[0] * n for _ in range(m)]
    cycles = 0
    for top in range(0, m, rows):
        for left in range(0, n, cols):
            right = [[None] * cols for _ in range(rows)]
            down = [[None] * cols for _ in range(rows)]
            from_left = [[at(a, top + i, s) for s in range(k)] for i in range(rows)]
            from_above = [[at(b, s, left + j) for s in range(k)] for j in range(cols)]
            done, clock = 0, 0
            wanted = rows * cols * k  # units beyond the matrix work on zeros: the array waits for all of them
            while done < wanted:
                for i in reversed(range(rows)):
                    for j in reversed(range(cols)):
                        right[i][j] = right[i][j - 1] if j else fed(from_left[i], clock - i)
                        down[i][j] = down[i - 1][j] if i else fed(from_above[j], clock - j)
                for i in range(rows):
                    for j in range(cols):
                        if right[i][j] is not None and down[i][j] is not None:
                            done += 1
                            if top + i < m and left + j < n:
                                out[top + i][left + j] += right[i][j] * down[i][j]
                clock += 1
            cycles += clock
    return out, cycles


def weight_stationary(a: Matrix, b: Matrix, rows: int, cols: int) -> tuple[Matrix, int]:
    """[m k] x [k n]: weights are shifted in row by row, then rows of `a` flow right and partial sums down."""
    m, k, n = len(a), len(b), len(b[0])
    out = [[0] * n for _ in range(m)]
    cycles = 0
    for top in range(0, k, rows):
        for left in range(0, n, cols):
            kept = [[0] * cols for _ in range(rows)]
            for step in range(rows):  # the last row goes in first
                kept = [[at(b, top + rows - 1 - step, left + j) for j in range(cols)], *kept[:-1]]
                cycles += 1
            right = [[None] * cols for _ in range(rows)]
            down = [[None] * cols for _ in range(rows)]
            from_left = [[at(a, s, top + i) for s in range(m)] for i in range(rows)]
            left_over, clock = m * cols, 0
            while left_over:
                for i in reversed(range(rows)):
                    for j in reversed(range(cols)):
                        right[i][j] = right[i][j - 1] if j else fed(from_left[i], clock - i)
                        above = down[i - 1][j] if i else 0
                        down[i][j] = None if right[i][j] is None else above + right[i][j] * kept[i][j]
                for j in range(cols):
                    if down[rows - 1][j] is not None:
                        row = clock - (rows - 1) - j
                        left_over -= 1
                        if left + j < n:
                            out[row][left + j] += down[rows - 1][j]
                clock += 1
            cycles += clock
    return out, cycles


def input_stationary(a: Matrix, b: Matrix, rows: int, cols: int) -> tuple[Matrix, int]:
    """The transposed product with the roles of the operands exchanged."""
    out, cycles = weight_stationary(transposed(b), transposed(a), rows, cols)
    return transposed(out), cycles


SIMULATIONS: dict[str, Callable[[Matrix, Matrix, int, int], tuple[Matrix, int]]] = {
    "output-stationary": output_stationary,
    "weight-stationary": weight_stationary,
    "input-stationary": input_stationary,
}


def fed(values: list[int], step: int) -> int | None:
    """What enters at the edge: nothing before the skew and after the end."""
    return values[step] if 0 <= step < len(values) else None


def at(matrix: Matrix, i: int, j: int) -> int:
    """An element, 0 beyond the matrix."""
    return matrix[i][j] if i < len(matrix) and j < len(matrix[0]) else 0


def transposed(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]
