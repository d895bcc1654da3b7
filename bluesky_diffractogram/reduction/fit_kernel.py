"""The compiled least-squares fit of pseudo-Voigt lines on a linear background.

A line is h·(η·L + (1 − η)·G) with G = exp(−4 ln 2·u²), L = 1 / (1 + 4u²), u = (x − p) / Γ. Lines that stand close
together are fitted jointly. x is the bin's number. All compiled functions here are called from `fit_lines`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .least_squares import covariance, factor, hold, normal_equations, solve
from .peak_shape import GAUSS_AREA, LORENTZ_AREA

FOUR_LN2 = 4.0 * np.log(2.0)
# Parameters before the lines' own, and of a line.
BACKGROUND, OF_LINE = 2, 4
HEIGHT, POSITION, WIDTH, MIXING = 0, 1, 2, 3
# Least squares with the weights of the data's smoothed level first, then twice with those of the fitted curve's.
ROUNDS = 3
MOST_STEPS = 30
# A step smaller than this, in standard deviations of each parameter, is the last.
SMALL_STEP = 1e-3
LEAST_WIDTH = 0.7


@njit(nogil=True, cache=True)
def _model(theta: NDArray, first: int, stop: int, middle: float, curve: NDArray, slopes: NDArray, derive: bool) -> None:
    """Fill `curve` ``(m,)`` and, if asked, its derivatives `slopes` ``(parameters, m)``."""
    lines = (len(theta) - BACKGROUND) // OF_LINE
    for i in range(stop - first):
        x = first + i - middle
        curve[i] = theta[0] + theta[1] * x
        if derive:
            slopes[0, i], slopes[1, i] = 1.0, x
    for k in range(lines):
        at = BACKGROUND + OF_LINE * k
        height, position, width, mixing = theta[at], theta[at + 1], theta[at + 2], theta[at + 3]
        for i in range(stop - first):
            u = (first + i - position) / width
            square = u * u
            gauss = np.exp(-FOUR_LN2 * square) if square < 25.0 else 0.0
            lorentz = 1.0 / (1.0 + 4.0 * square)
            shape = mixing * lorentz + (1.0 - mixing) * gauss
            curve[i] += height * shape
            if derive:
                steep = (
                    height / width * u * (8.0 * mixing * lorentz * lorentz + 2.0 * FOUR_LN2 * (1.0 - mixing) * gauss)
                )
                slopes[at, i] = shape
                slopes[at + 1, i] = steep
                slopes[at + 2, i] = u * steep
                slopes[at + 3, i] = height * (lorentz - gauss)


@njit(nogil=True, cache=True)
def _descend(
    theta: NDArray, low: NDArray, high: NDArray, y: NDArray, weight: NDArray, first: int, stop: int, middle: float
) -> bool:
    """Levenberg–Marquardt with Marquardt's scaling, inside the box `low` to `high`; False if it does not arrive."""
    n, m = len(theta), stop - first
    curve, slopes = np.empty(m), np.empty((n, m))
    matrix, damped, gradient, step = np.empty((n, n)), np.empty((n, n)), np.empty(n), np.empty(n)
    held = np.zeros(n, np.bool_)
    trial = np.empty(n)
    damping = 1e-3
    _model(theta, first, stop, middle, curve, slopes, True)
    cost = 0.0
    for i in range(m):
        cost += weight[i] * (y[i] - curve[i]) ** 2
    for _ in range(MOST_STEPS):
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
                small &= abs(trial[p] - theta[p]) * np.sqrt(matrix[p, p]) < SMALL_STEP or held[p]
            _model(trial, first, stop, middle, curve, slopes, False)
            now = 0.0
            for i in range(m):
                now += weight[i] * (y[i] - curve[i]) ** 2
            if now <= cost:
                better = True
                break
            if small:
                break
            damping *= 10.0
        if better:
            for p in range(n):
                theta[p] = trial[p]
            cost = now
            damping = max(0.1 * damping, 1e-9)
        if small and damping < 1e3:
            return True
        if not better:
            return False
        _model(theta, first, stop, middle, curve, slopes, True)
    return False


@njit(nogil=True, cache=True)
def _start(theta: NDArray, y: NDArray, weight: NDArray, first: int, stop: int, middle: float) -> None:
    """Background and heights by linear least squares, where that leaves every line a height above 0."""
    n, m = len(theta), stop - first
    curve, slopes = np.empty(m), np.empty((n, m))
    _model(theta, first, stop, middle, curve, slopes, True)
    matrix, gradient, held = np.empty((n, n)), np.empty(n), np.zeros(n, np.bool_)
    for at in range(BACKGROUND, n, OF_LINE):
        held[at + 1] = held[at + 2] = held[at + 3] = True
    normal_equations(slopes, weight, y, curve, matrix, gradient)
    hold(matrix, gradient, held)
    if not factor(matrix):
        return
    solve(matrix, gradient)
    for at in range(BACKGROUND, n, OF_LINE):
        if not theta[at] + gradient[at] > 0.1 * theta[at]:
            return
    for p in range(n):
        theta[p] += gradient[p]


@njit(nogil=True, cache=True)
def fit_lines(
    intensity: NDArray,
    per_level: NDArray,
    constant: NDArray,
    least_level: NDArray,
    correlation: NDArray,
    position: NDArray,
    height: NDArray,
    fwhm: NDArray,
    first: NDArray,
    stop: NDArray,
    group: NDArray,
) -> tuple[NDArray, NDArray, NDArray]:
    """Fit all groups of lines of a curve.

    Parameters
    ----------
    intensity
        ``(npt,)``, NaN in bins that are left out.
    per_level, constant, least_level
        ``(npt,)``: a bin's variance is `per_level` times its expected level, at least `least_level`, plus `constant`.
    correlation
        ``(npt, reach + 1)``: of the noise of bin i and bin i + k.
    position, height, fwhm
        ``(lines,)`` where to start, from left to right; bins and intensity.
    first, stop
        ``(groups,)`` the windows, in bins.
    group
        ``(groups + 1,)`` at which line each group begins.

    Returns
    -------
    figures
        ``(lines, 6)``: position, height, FWHM, area (in bins), mixing, background at the position; NaN where the fit
        found no minimum inside its limits.
    deviations
        ``(lines, 4)``: of the first four.
    quality
        ``(groups,)``: χ² per degree of freedom.
    """
    lines = len(position)
    figures, deviations = np.full((lines, 6), np.nan), np.full((lines, 4), np.nan)
    quality, grows = np.full(len(first), np.nan), np.empty(OF_LINE)
    for g in range(len(first)):
        begin, end = group[g], group[g + 1]
        n, m = BACKGROUND + OF_LINE * (end - begin), stop[g] - first[g]
        middle = 0.5 * (first[g] + stop[g] - 1)
        y, level, weight, there, lowest = np.empty(m), np.empty(m), np.zeros(m), 0, np.inf
        for i in range(m):
            y[i] = intensity[first[g] + i]
            here, total = 0, 0.0
            for j in range(max(first[g] + i - 2, 0), min(first[g] + i + 3, len(intensity))):
                if np.isfinite(intensity[j]):
                    here, total = here + 1, total + intensity[j]
            level[i] = total / here if here else 0.0
            there += np.isfinite(y[i])
            lowest = min(lowest, level[i])
        if there < n + 2:
            continue
        theta, low, high = np.empty(n), np.full(n, -np.inf), np.full(n, np.inf)
        theta[0], theta[1] = lowest, 0.0
        for k in range(begin, end):
            at = BACKGROUND + OF_LINE * (k - begin)
            width = max(fwhm[k], 1.0)
            theta[at], theta[at + 1], theta[at + 2], theta[at + 3] = height[k], position[k], width, 0.3
            low[at], low[at + 1], low[at + 2], low[at + 3] = (
                0.0,
                position[k] - width,
                max(0.3 * width, LEAST_WIDTH),
                0.0,
            )
            high[at + 1], high[at + 2], high[at + 3] = position[k] + width, min(3.0 * width, float(m)), 1.0
        curve, slopes, arrived = np.empty(m), np.empty((n, m)), False
        deviation = np.ones(m)
        for turn in range(ROUNDS):
            for i in range(m):
                j = first[g] + i
                variance = max(level[i], least_level[j]) * per_level[j] + constant[j]
                deviation[i] = np.sqrt(variance)
                if np.isfinite(y[i]) and variance > 0.0:
                    weight[i] = 1.0 / variance
                else:
                    y[i], weight[i] = 0.0, 0.0
            if turn == 0:
                _start(theta, y, weight, first[g], stop[g], middle)
            arrived = _descend(theta, low, high, y, weight, first[g], stop[g], middle)
            if not arrived and turn > 0:
                break
            _model(theta, first[g], stop[g], middle, curve, slopes, turn == ROUNDS - 1)
            for i in range(m):
                level[i] = curve[i]
        if not arrived:
            continue
        held = np.zeros(n, np.bool_)
        for p in range(n):
            held[p] = theta[p] <= low[p] or theta[p] >= high[p]
        fine, spreads = covariance(slopes, weight, deviation, correlation, first[g], held)
        if not fine:
            continue
        used, cost = 0, 0.0
        for i in range(m):
            used += weight[i] > 0.0
            cost += weight[i] * (y[i] - curve[i]) ** 2
        quality[g] = cost / max(used - n, 1)
        for k in range(begin, end):
            at = BACKGROUND + OF_LINE * (k - begin)
            h, p, width, mixing = theta[at], theta[at + 1], theta[at + 2], theta[at + 3]
            if held[at] or held[at + 1] or held[at + 2]:
                continue
            unit_area = mixing * LORENTZ_AREA + (1.0 - mixing) * GAUSS_AREA
            figures[k, 0], figures[k, 1], figures[k, 2] = p, h, width
            figures[k, 3], figures[k, 4] = h * width * unit_area, mixing
            figures[k, 5] = theta[0] + theta[1] * (p - middle)
            deviations[k, 0] = np.sqrt(spreads[at + 1, at + 1])
            deviations[k, 1] = np.sqrt(spreads[at, at])
            deviations[k, 2] = np.sqrt(spreads[at + 2, at + 2])
            grows[0], grows[1], grows[2] = width * unit_area, 0.0, h * unit_area
            grows[3] = h * width * (LORENTZ_AREA - GAUSS_AREA)
            spread = 0.0
            for a in range(OF_LINE):
                for b in range(OF_LINE):
                    spread += grows[a] * grows[b] * spreads[at + a, at + b]
            deviations[k, 3] = np.sqrt(spread)
    return figures, deviations, quality
