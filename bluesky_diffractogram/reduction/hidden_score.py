"""Score tests of a search for hidden lines: where another would be, and which known one rather differs from the others.

Rao's test: the derivative of the likelihood by what the model does not have, at its best fit, in standard deviations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled, compiled_sums
from .hidden_model import BACKGROUND, alike
from .least_squares import solve
from .line_kernel import FOUR_LN2, NOTHING_LEFT, POSITION, WIDTH, model

# A line is looked for so near to another, in widths.
FARTHEST = 2.0
# A place must stand out by this part of what is asked for before it is looked at closely; so many widths of a line are
# seen.
VISIBLE, SEEN = 0.25, 4.0


@compiled_sums
def _own_part(shape: NDArray, slopes: NDArray, weight: NDArray, lower: NDArray, held: NDArray, part: NDArray) -> None:
    """What of `shape` ``(m,)`` no change of the model's parameters makes: `part` ``(m,)``, orthogonal to `slopes`."""
    n, m = slopes.shape
    size = np.zeros(n)
    for i in range(m):
        part[i] = shape[i] * weight[i]
    for p in range(n):
        if not held[p]:
            s = 0.0
            for i in range(m):
                s += slopes[p, i] * part[i]
            size[p] = s
    solve(lower, size)
    for i in range(m):
        part[i] = shape[i]
    for p in range(n):
        if not held[p]:
            s = size[p]
            for i in range(m):
                part[i] -= s * slopes[p, i]


@compiled_sums
def _shared_sum(one: NDArray, other: NDArray, weight: NDArray, shared: NDArray) -> float:
    """The covariance of two sums of the curve with the weights `one`·w and `other`·w ``(m,)``."""
    total, m = 0.0, len(one)
    for k in range(min(len(shared), m)):
        s = 0.0
        for i in range(m - k):
            near, far = np.sqrt(weight[i]), np.sqrt(weight[i + k])
            s += one[i] * near * other[i + k] * far
            if k:
                s += other[i] * near * one[i + k] * far
        total += shared[k] * s
    return total


@compiled
def left_over(y: NDArray, curve: NDArray, weight: NDArray) -> NDArray:
    """``(m,)`` what a model leaves over, times its weight."""
    rest = np.empty(len(y))
    for i in range(len(y)):
        rest[i] = weight[i] * (y[i] - curve[i])
    return rest


@compiled_sums
def best_place(
    theta: NDArray,
    links: NDArray,
    rest: NDArray,
    weight: NDArray,
    slopes: NDArray,
    lower: NDArray,
    held: NDArray,
    shared: NDArray,
    least: float,
) -> tuple[float, float, float]:
    """Where another line like the others would be: how clearly, place, height; all 0 where not by `least`.

    What a good fit leaves over is orthogonal to the slopes, so that the sum with a shape is that with its own part; of
    a place where that sum is small for the whole shape, the own part need not be known.
    """
    m = len(rest)
    width, mixing = max(theta[BACKGROUND], 1.0), theta[BACKGROUND + 1]
    reach = min(m, int(SEEN * width) + 1)
    line = np.empty(reach + 1)
    for i in range(reach + 1):
        square = (i / width) ** 2
        gauss = np.exp(-FOUR_LN2 * square) if square < NOTHING_LEFT else 0.0
        line[i] = mixing / (1.0 + 4.0 * square) + (1.0 - mixing) * gauss
    shape, part, best_part = np.zeros(m), np.empty(m), np.empty(m)
    best, best_place, best_sum, best_norm = 0.0, 0.0, 0.0, 1.0
    for place in range(1, m - 1, max(1, int(width / 8.0))):
        beside = False
        for k in range(len(links)):
            beside |= links[k, WIDTH] == BACKGROUND and abs(place - theta[links[k, POSITION]]) < FARTHEST * width
        if not beside:
            continue
        first, stop = max(place - reach, 0), min(place + reach + 1, m)
        found, whole = 0.0, 0.0
        for i in range(first, stop):
            high = line[abs(i - place)]
            found += high * rest[i]
            whole += high * high * weight[i]
        if found <= 0.0 or found * found < whole * (VISIBLE * least) ** 2:
            continue
        shape[:] = 0.0
        for i in range(first, stop):
            shape[i] = line[abs(i - place)]
        _own_part(shape, slopes, weight, lower, held, part)
        found, norm = 0.0, 0.0
        for i in range(m):
            found += part[i] * rest[i]
            norm += part[i] * weight[i] * shape[i]
        if norm > 1e-4 * whole and found > 0.0 and found * found > best * norm:
            best, best_place, best_sum, best_norm = found * found / norm, float(place), found, norm
            for i in range(m):
                best_part[i] = part[i]
    if best == 0.0:
        return 0.0, 0.0, 0.0
    return best_sum / np.sqrt(_shared_sum(best_part, best_part, weight, shared)), best_place, best_sum / best_norm


@compiled_sums
def best_to_free(
    theta: NDArray,
    links: NDArray,
    rest: NDArray,
    weight: NDArray,
    slopes: NDArray,
    lower: NDArray,
    held: NDArray,
    shared: NDArray,
    least: float,
) -> tuple[float, int]:
    """Which line would rather have a shape of its own, and how clearly; 0 where none would by `least`."""
    m, lines = len(rest), len(links)
    if alike(links) < 2:
        return 0.0, -1
    one, link = np.empty(BACKGROUND + 4), np.arange(BACKGROUND, BACKGROUND + 4).reshape(1, 4)
    one[:BACKGROUND] = 0.0
    none, each = np.empty(m), np.empty((len(one), m))
    parts, best, best_line = np.empty((2, m)), 0.0, -1
    for k in range(lines):
        if links[k, WIDTH] != BACKGROUND:
            continue
        for which in range(4):
            one[BACKGROUND + which] = theta[links[k, which]]
        model(one, link, 0, m, 0.0, none, each, True)
        visible = False
        for which in range(2):
            found, whole = 0.0, 0.0
            for i in range(m):
                high = each[BACKGROUND + WIDTH + which, i]
                found += high * rest[i]
                whole += high * high * weight[i]
            visible |= found * found >= whole * (VISIBLE * least) ** 2
        if not visible:
            continue
        sums = np.zeros(2)
        for which in range(2):
            _own_part(each[BACKGROUND + WIDTH + which], slopes, weight, lower, held, parts[which])
            for i in range(m):
                sums[which] += parts[which, i] * rest[i]
        aa = _shared_sum(parts[0], parts[0], weight, shared)
        ab = _shared_sum(parts[0], parts[1], weight, shared)
        bb = _shared_sum(parts[1], parts[1], weight, shared)
        determinant = aa * bb - ab * ab
        if determinant > 1e-9 * aa * bb:
            clear = (bb * sums[0] ** 2 - 2.0 * ab * sums[0] * sums[1] + aa * sums[1] ** 2) / determinant
        elif aa > 0.0:
            clear = sums[0] ** 2 / aa
        else:
            clear = 0.0
        if clear > best:
            best, best_line = clear, k
    return np.sqrt(best), best_line
