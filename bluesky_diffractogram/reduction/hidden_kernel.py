"""The compiled search for lines that hide beside others, as `hidden_lines` says it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .hidden_model import BACKGROUND, alike, fitted, typical, with_another, with_own_shape
from .hidden_score import best_place, best_to_free, left_over
from .least_squares import covariance, factor, hold, normal_equations
from .line_kernel import HEIGHT, MIXING, POSITION, WIDTH, start_heights
from .peak_shape import GAUSS_AREA, LORENTZ_AREA

# A line whose width is within this factor of that of the others is one like them.
ALIKE = 1.6
# So many steps tell whether there is anything to look for.
FIRST_STEPS, MOST_STEPS = 2, 30
# So much surer than of others one must be of hidden lines, as what they are seen against is itself fitted.
SURER = 1.25
# So many lines may be found in a group, in so many rounds.
MOST_NEW, MOST_ROUNDS = 8, 14
# A line may be so near to the next, in widths. No line has quite the shape that it is fitted with: this may leave over
# such a part of the height of those nearby.
NEAREST, NEARBY, OF_SHAPE = 0.8, 3.0, 0.02
# With another line, lines become no wider than this; narrower ones are tried too.
WIDER, NARROWER = 1.15, 0.75
# Where χ² per degree of freedom stays larger, lines are of another shape, and nothing is said.
WORST = 3.0
MIXED = 0.3


@compiled
def _is_seen(place: float, width: float, intensity: NDArray) -> bool:
    """Whether there are data at the middle of a line and at half of its height on both sides."""
    for side in range(-1, 2):
        i = int(np.floor(place + side * 0.5 * width + 0.5))
        if not 0 <= i < len(intensity) or not np.isfinite(intensity[i]):
            return False
    return True


@compiled
def _is_line(
    theta: NDArray,
    links: NDArray,
    held: NDArray,
    intensity: NDArray,
    first: int,
    width_before: float,
    uncertainty: float,
    min_snr: float,
) -> bool:
    """Whether the last line of a fitted model is one."""
    last = len(links) - 1
    at, place = links[last, HEIGHT], theta[links[last, POSITION]]
    width, mixing = theta[BACKGROUND], theta[BACKGROUND + 1]
    above = theta[at] - min_snr * uncertainty
    if held[at] or not above >= 0.0 or width > WIDER * width_before or mixing >= 1.0:
        return False
    if not _is_seen(first + place, width, intensity):
        return False
    for k in range(last):
        distance, other = abs(place - theta[links[k, POSITION]]), theta[links[k, HEIGHT]]
        if not other > 0.0 or distance < NEAREST * 0.5 * (width + theta[links[k, WIDTH]]):
            return False
        if distance < NEARBY * width and above < OF_SHAPE * other:
            return False
    return True


@compiled
def _search(
    intensity: NDArray,
    variance: NDArray,
    shared: NDArray,
    position: NDArray,
    height: NDArray,
    fwhm: NDArray,
    first: int,
    stop: int,
    min_snr: float,
) -> tuple[NDArray, NDArray, int]:
    """Look for lines in one window: parameters and links of its model, and how many lines are new, the last ones.

    The arguments are those of `find_hidden`, of one group; positions are counted from its window's first bin, `first`.
    """
    y, variance = intensity[first:stop].copy(), variance[first:stop]
    m, lines = len(y), len(position)
    weight, deviation, used, lowest = np.zeros(m), np.sqrt(variance), 0, np.inf
    for i in range(m):
        if np.isfinite(y[i]) and variance[i] > 0.0:
            weight[i] = 1.0 / variance[i]
            used += 1
            lowest = min(lowest, y[i])
        else:
            y[i] = 0.0
    width = typical(fwhm, height)
    theta = np.array([lowest, 0.0, 0.0, width, MIXED])
    links = np.empty((0, 4), np.int64)
    for k in range(lines):
        theta, links = with_another(theta, links, position[k], height[k])
        if not width / ALIKE < fwhm[k] < ALIKE * width:
            theta, links = with_own_shape(theta, links, k)
            theta[links[k, WIDTH]] = fwhm[k]
    new = 0
    middle = 0.5 * (m - 1)
    if used < len(theta) + 6:
        return theta, links, 0
    start_heights(theta, links, y, weight, 0, m, middle)
    n = len(theta)
    slopes, curve, held = np.empty((n, m)), np.empty(m), np.zeros(n, np.bool_)
    _, squares, free = fitted(theta, links, y, weight, slopes, curve, held, FIRST_STEPS)
    correlation = np.empty((m, len(shared)))
    for i in range(m):
        for k in range(len(shared)):
            correlation[i, k] = shared[k]
    refined = False
    for _ in range(MOST_ROUNDS):
        n = len(theta)
        lower, nothing = np.empty((n, n)), np.zeros(n)
        normal_equations(slopes, weight, y, curve, lower, nothing)
        hold(lower, nothing, held)
        if not factor(lower):
            break
        rest = left_over(y, curve, weight)
        clear, place, high = best_place(theta, links, rest, weight, slopes, lower, held, shared, min_snr)
        rather, line = best_to_free(theta, links, rest, weight, slopes, lower, held, shared, min_snr)
        if max(clear, rather) < min_snr:
            break
        if not refined:
            _, squares, free = fitted(theta, links, y, weight, slopes, curve, held, MOST_STEPS)
            refined = True
            continue
        if rather > clear:
            theta, links = with_own_shape(theta, links, line)
            n = len(theta)
            slopes, held = np.empty((n, m)), np.zeros(n, np.bool_)
            _, squares, free = fitted(theta, links, y, weight, slopes, curve, held, MOST_STEPS)
            continue
        if new == MOST_NEW or used < n + 4:
            break
        before, other_links = with_another(theta, links, place, max(high, 1e-9))
        trial, least, found = before, np.inf, False
        other_slopes, other_curve, other_held = np.empty((n + 2, m)), np.empty(m), np.zeros(n + 2, np.bool_)
        for narrower in (1.0, NARROWER):
            start = before.copy()
            start[BACKGROUND] *= narrower
            start_heights(start, other_links, y, weight, 0, m, middle)
            arrived, sum_of, count = fitted(
                start, other_links, y, weight, other_slopes, other_curve, other_held, MOST_STEPS
            )
            if sum_of < least:
                trial, least = start, sum_of
            known, spreads = covariance(other_slopes, weight, deviation, correlation, 0, other_held)
            worse = max(1.0, sum_of / max(used - count, 1))
            if not (arrived and known and squares - sum_of >= min_snr**2 * worse):
                continue
            at = other_links[len(links), HEIGHT]
            uncertainty = np.sqrt(spreads[at, at] * worse)
            if _is_line(start, other_links, other_held, intensity, first, theta[BACKGROUND], uncertainty, min_snr):
                theta, links, squares, free = start, other_links, sum_of, count
                slopes, curve, held = other_slopes, other_curve, other_held
                found = True
                break
        if found:
            new += 1
            continue
        # What is no line beside another may be that one's own shape.
        nearest = 0
        for k in range(len(links)):
            at_k, at_nearest = theta[links[k, POSITION]], theta[links[nearest, POSITION]]
            if abs(trial[n + 1] - at_k) < abs(trial[n + 1] - at_nearest):
                nearest = k
        distance = abs(trial[n + 1] - theta[links[nearest, POSITION]])
        alone = alike(links) < 2
        if distance >= NEAREST * theta[BACKGROUND] or links[nearest, WIDTH] != BACKGROUND or alone:
            break
        theta, links = with_own_shape(theta, links, nearest)
        n = len(theta)
        slopes, held = np.empty((n, m)), np.zeros(n, np.bool_)
        _, squares, free = fitted(theta, links, y, weight, slopes, curve, held, MOST_STEPS)
    good = squares < WORST * max(used - free, 1)
    for k in range(lines, len(links)):
        good &= _is_seen(first + theta[links[k, POSITION]], theta[links[k, WIDTH]], intensity)
    return theta, links, new if good else 0


@compiled
def find_hidden(
    intensity: NDArray,
    variance: NDArray,
    shared: NDArray,
    position: NDArray,
    height: NDArray,
    fwhm: NDArray,
    first: NDArray,
    stop: NDArray,
    group: NDArray,
    min_snr: float,
) -> NDArray:
    """Find lines that hide beside others.

    Parameters
    ----------
    intensity
        ``(npt,)``, NaN in bins that are left out.
    variance
        ``(npt,)`` of independent bins.
    shared
        ``(reach + 1,)`` the correlation of a bin with itself, the next one, and so on.
    position, height, fwhm
        ``(lines,)`` that are known, from left to right; bins and intensity.
    first, stop
        ``(groups,)`` windows, in bins.
    group
        ``(groups + 1,)`` at which line each group begins.
    min_snr
        By `SURER` times so many standard uncertainties a line must be higher than nothing.

    Returns
    -------
    numpy.ndarray
        ``(5, n)``: position, height, FWHM, area (in bins) and which of the known lines it is, −1 for a new one. Only
        of groups in which there are new ones.
    """
    found, many = np.empty((5, len(position) + MOST_NEW * len(first))), 0
    for g in range(len(first)):
        begin, end = group[g], group[g + 1]
        theta, links, new = _search(
            intensity, variance, shared, position[begin:end] - first[g], height[begin:end], fwhm[begin:end],
            first[g], stop[g], SURER * min_snr,
        )  # fmt: skip
        if not new:
            continue
        for k in range(len(links)):
            high, width = theta[links[k, HEIGHT]], theta[links[k, WIDTH]]
            mixing = theta[links[k, MIXING]]
            found[0, many], found[1, many] = first[g] + theta[links[k, POSITION]], high
            found[2, many] = width
            found[3, many] = high * width * (mixing * LORENTZ_AREA + (1.0 - mixing) * GAUSS_AREA)
            found[4, many] = begin + k if k < end - begin else -1
            many += 1
    return found[:, :many]
