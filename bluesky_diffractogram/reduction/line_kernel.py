"""Pseudo-Voigt lines on a polynomial background, and the descent to their least squares, compiled.

A line is h·(η·L + (1 − η)·G) with G = exp(−4 ln 2·u²), L = 1 / (1 + 4u²), u = (x − p) / Γ. x is the bin's number.

Parameters of a model are ``theta`` ``(n,)``: the background's coefficients first, from its level on, and then those of
lines. Which of them are a line's, `links` ``(lines, 4)`` tells: its height, position, width and mixing. Lines may share
some. All before the first that is a line's are the background's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .least_squares import factor, hold, normal_equations, solve

FOUR_LN2 = 4.0 * np.log(2.0)
# At this u² a Gaussian is 2e-12 of its height.
NOTHING_LEFT = 9.75
# Where a line's links are.
HEIGHT, POSITION, WIDTH, MIXING = 0, 1, 2, 3


@compiled
def background_terms(links: NDArray) -> int:
    """How many coefficients the background has."""
    terms = links[0, HEIGHT]
    for k in range(len(links)):
        terms = min(terms, links[k, HEIGHT], links[k, WIDTH])
    return terms


@compiled
def model(
    theta: NDArray,
    links: NDArray,
    first: int,
    stop: int,
    middle: float,
    curve: NDArray,
    slopes: NDArray,
    derive: bool,
) -> None:
    """Fill `curve` ``(m,)`` of the bins from `first` to before `stop`, and, if asked, its `slopes` ``(n, m)``.

    These are its derivatives by each parameter. The background is a polynomial of the distance from `middle`.
    """
    if derive:
        slopes[:] = 0.0
    terms = background_terms(links)
    for i in range(stop - first):
        x, power, ground = first + i - middle, 1.0, 0.0
        for p in range(terms):
            ground += theta[p] * power
            if derive:
                slopes[p, i] = power
            power *= x
        curve[i] = ground
    for k in range(len(links)):
        a, b, c, d = links[k, HEIGHT], links[k, POSITION], links[k, WIDTH], links[k, MIXING]
        height, position, width, mixing = theta[a], theta[b], theta[c], theta[d]
        for i in range(stop - first):
            u = (first + i - position) / width
            square = u * u
            gauss = np.exp(-FOUR_LN2 * square) if square < NOTHING_LEFT else 0.0
            lorentz = 1.0 / (1.0 + 4.0 * square)
            shape = mixing * lorentz + (1.0 - mixing) * gauss
            curve[i] += height * shape
            if derive:
                steep = (
                    height / width * u * (8.0 * mixing * lorentz * lorentz + 2.0 * FOUR_LN2 * (1.0 - mixing) * gauss)
                )
                slopes[a, i] += shape
                slopes[b, i] += steep
                slopes[c, i] += u * steep
                slopes[d, i] += height * (lorentz - gauss)


@compiled
def descend(
    theta: NDArray,
    links: NDArray,
    low: NDArray,
    high: NDArray,
    y: NDArray,
    weight: NDArray,
    first: int,
    stop: int,
    middle: float,
    most_steps: int,
    small_step: float,
) -> bool:
    """Levenberg–Marquardt with Marquardt's scaling, inside the box `low` to `high`; False if it does not arrive.

    `theta` starts it and is where it gets; `y` and `weight` ``(m,)`` are the curve and its variances' reciprocals.
    A step of less than `small_step` standard deviations of each parameter is the last.
    """
    n, m = len(theta), stop - first
    curve, slopes = np.empty(m), np.empty((n, m))
    other_curve, other_slopes = np.empty(m), np.empty((n, m))
    matrix, damped, gradient, step = np.empty((n, n)), np.empty((n, n)), np.empty(n), np.empty(n)
    held = np.zeros(n, np.bool_)
    trial = np.empty(n)
    damping = 1e-3
    model(theta, links, first, stop, middle, curve, slopes, True)
    cost = 0.0
    for i in range(m):
        cost += weight[i] * (y[i] - curve[i]) ** 2
    for _ in range(most_steps):
        normal_equations(slopes, weight, y, curve, matrix, gradient)
        for p in range(n):
            outward = (theta[p] <= low[p] and gradient[p] < 0.0) or (theta[p] >= high[p] and gradient[p] > 0.0)
            held[p] = outward or not matrix[p, p] > 0.0
        hold(matrix, gradient, held)
        better = False
        for _ in range(12):
            for p in range(n):
                for q in range(p + 1):
                    damped[p, q] = matrix[p, q]
                damped[p, p] *= 1.0 + damping
                step[p] = gradient[p]
            if not factor(damped):
                damping = max(10.0 * damping, 1e-6)
                continue
            solve(damped, step)
            small = True
            for p in range(n):
                trial[p] = min(max(theta[p] + step[p], low[p]), high[p])
                small &= abs(trial[p] - theta[p]) * np.sqrt(matrix[p, p]) < small_step or held[p]
            # With its slopes, as nearly every step is one to go on from.
            model(trial, links, first, stop, middle, other_curve, other_slopes, True)
            now = 0.0
            for i in range(m):
                now += weight[i] * (y[i] - other_curve[i]) ** 2
            if now <= cost:
                better = True
                break
            if small:
                break
            damping *= 10.0
        if better:
            for p in range(n):
                theta[p] = trial[p]
            curve, other_curve, slopes, other_slopes = other_curve, curve, other_slopes, slopes
            cost = now
            damping = max(0.1 * damping, 1e-9)
        if small and damping < 1e3:
            return True
        if not better:
            return False
    return False


@compiled
def start_heights(
    theta: NDArray, links: NDArray, y: NDArray, weight: NDArray, first: int, stop: int, middle: float
) -> None:
    """Background and heights by linear least squares, where that leaves every line a height above 0."""
    n, m = len(theta), stop - first
    curve, slopes = np.empty(m), np.empty((n, m))
    model(theta, links, first, stop, middle, curve, slopes, True)
    matrix, gradient, held = np.empty((n, n)), np.empty(n), np.ones(n, np.bool_)
    held[: background_terms(links)] = False
    for k in range(len(links)):
        held[links[k, HEIGHT]] = False
    normal_equations(slopes, weight, y, curve, matrix, gradient)
    hold(matrix, gradient, held)
    if not factor(matrix):
        return
    solve(matrix, gradient)
    for k in range(len(links)):
        at = links[k, HEIGHT]
        if not theta[at] + gradient[at] > 0.1 * theta[at]:
            return
    for p in range(n):
        theta[p] += gradient[p]
