"""The model of a search for hidden lines: lines that stand together and share a width and a mixing, but for some."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .line_kernel import HEIGHT, MIXING, POSITION, WIDTH, descend, model

# Parameters of the background, before the common width and mixing: it bends under lines that take much room.
BACKGROUND = 3
# A fit ends with a step of so many standard deviations.
SMALL_STEP = 0.02
# Limits of a fit: how far a line moves in widths, how much narrower and wider it becomes.
MOVES, NARROWEST, WIDEST, LEAST_WIDTH = 0.7, 0.4, 2.5, 0.7


@compiled
def typical(width: NDArray, height: NDArray) -> float:
    """The median of widths, each counted with its height."""
    half = 0.0
    for k in range(len(width)):
        half += 0.5 * height[k]
    typical = np.inf
    for k in range(len(width)):
        so_far = 0.0
        for j in range(len(width)):
            if width[j] <= width[k]:
                so_far += height[j]
        if so_far >= half:
            typical = min(typical, width[k])
    return typical


@compiled
def alike(links: NDArray) -> int:
    """How many lines share the common width."""
    many = 0
    for k in range(len(links)):
        many += links[k, WIDTH] == BACKGROUND
    return many


@compiled
def fitted(
    theta: NDArray,
    links: NDArray,
    y: NDArray,
    weight: NDArray,
    slopes: NDArray,
    curve: NDArray,
    held: NDArray,
    most_steps: int,
) -> tuple[bool, float, int]:
    """Fit a model from where it is; whether it arrived, χ², and how many parameters are at no limit."""
    n, m = len(theta), len(y)
    middle = 0.5 * (m - 1)
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    for k in range(len(links)):
        at, place, width, mixing = links[k]
        reach = MOVES * theta[width]
        low[at], low[place], high[place] = 0.0, theta[place] - reach, theta[place] + reach
        low[width], high[width] = max(NARROWEST * theta[width], LEAST_WIDTH), WIDEST * theta[width]
        low[mixing], high[mixing] = 0.0, 1.0
    arrived = descend(theta, links, low, high, y, weight, 0, m, middle, most_steps, SMALL_STEP)
    model(theta, links, 0, m, middle, curve, slopes, True)
    squares, free = 0.0, 0
    for i in range(m):
        squares += weight[i] * (y[i] - curve[i]) ** 2
    for p in range(n):
        held[p] = theta[p] <= low[p] or theta[p] >= high[p]
        free += not held[p]
    return arrived, squares, free


@compiled
def with_another(theta: NDArray, links: NDArray, place: float, height: float) -> tuple[NDArray, NDArray]:
    """The model with another line."""
    n, lines = len(theta), len(links)
    more, longer = np.empty(n + 2), np.empty((lines + 1, 4), np.int64)
    for p in range(n):
        more[p] = theta[p]
    more[n], more[n + 1] = height, place
    for k in range(lines):
        for which in range(4):
            longer[k, which] = links[k, which]
    longer[lines, HEIGHT], longer[lines, POSITION] = n, n + 1
    longer[lines, WIDTH], longer[lines, MIXING] = BACKGROUND, BACKGROUND + 1
    return more, longer


@compiled
def with_own_shape(theta: NDArray, links: NDArray, line: int) -> tuple[NDArray, NDArray]:
    """The model with a width and a mixing of its own for a line."""
    n = len(theta)
    more, other = np.empty(n + 2), links.copy()
    for p in range(n):
        more[p] = theta[p]
    more[n], more[n + 1] = theta[links[line, WIDTH]], theta[links[line, MIXING]]
    other[line, WIDTH], other[line, MIXING] = n, n + 1
    return more, other
