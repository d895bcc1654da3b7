"""The compiled search for lines that hide beside others, as `hidden_lines` says it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled, compiled_sums
from .least_squares import covariance, factor, hold, normal_equations, solve
from .line_kernel import (
    FOUR_LN2,
    HEIGHT,
    MIXING,
    NOTHING_LEFT,
    POSITION,
    WIDTH,
    descend,
    model,
    start_heights,
)
from .peak_shape import GAUSS_AREA, LORENTZ_AREA

# Parameters of the background, before the common width and mixing: it bends under lines that take much room.
BACKGROUND = 3
# A line whose width is within this factor of that of the others is one like them.
ALIKE = 1.6
# So many steps tell whether there is anything to look for; a fit ends with one of so many standard deviations.
FIRST_STEPS, MOST_STEPS, SMALL_STEP = 2, 30, 0.02
# So much surer than of others one must be of hidden lines, as what they are seen against is itself fitted.
SURER = 1.25
# So many lines may be found in a group, in so many rounds.
MOST_NEW, MOST_ROUNDS = 8, 14
# A line may be so near to the next, in widths, and so far. No line has quite the shape that it is fitted with: this may
# leave over such a part of the height of those nearby.
NEAREST, FARTHEST, NEARBY, OF_SHAPE = 0.8, 2.0, 3.0, 0.02
# A place must stand out by this part of what is asked for before it is looked at closely; so many widths of a line are
# seen.
VISIBLE, SEEN = 0.25, 4.0
# With another line, lines become no wider than this; narrower ones are tried too.
WIDER, NARROWER = 1.15, 0.75
# Where χ² per degree of freedom stays larger, lines are of another shape, and nothing is said.
WORST = 3.0
# Limits of a fit: how far a line moves in widths, how much narrower and wider it becomes.
MOVES, NARROWEST, WIDEST, LEAST_WIDTH = 0.7, 0.4, 2.5, 0.7
MIXED = 0.3


@compiled
def _typical(width: NDArray, height: NDArray) -> float:
    """The median of widths, each counted with its height."""
    order = np.argsort(width)
    half, so_far = 0.5 * height.sum(), 0.0
    for k in order:
        so_far += height[k]
        if so_far >= half:
            break
    return width[k]


@compiled
def _fitted(
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
def _left_over(y: NDArray, curve: NDArray, weight: NDArray) -> NDArray:
    """``(m,)`` what a model leaves over, times its weight."""
    rest = np.empty(len(y))
    for i in range(len(y)):
        rest[i] = weight[i] * (y[i] - curve[i])
    return rest


@compiled_sums
def _best_place(
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
            best_part[:] = part
    if best == 0.0:
        return 0.0, 0.0, 0.0
    return best_sum / np.sqrt(_shared_sum(best_part, best_part, weight, shared)), best_place, best_sum / best_norm


@compiled_sums
def _best_to_free(
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
    alike = 0
    for k in range(lines):
        alike += links[k, WIDTH] == BACKGROUND
    if alike < 2:
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


@compiled
def _with_another(theta: NDArray, links: NDArray, place: float, height: float) -> tuple[NDArray, NDArray]:
    """The model with another line."""
    n, lines = len(theta), len(links)
    more, longer = np.empty(n + 2), np.empty((lines + 1, 4), np.int64)
    more[:n], more[n], more[n + 1] = theta, height, place
    longer[:lines] = links
    longer[lines, HEIGHT], longer[lines, POSITION] = n, n + 1
    longer[lines, WIDTH], longer[lines, MIXING] = BACKGROUND, BACKGROUND + 1
    return more, longer


@compiled
def _with_own_shape(theta: NDArray, links: NDArray, line: int) -> tuple[NDArray, NDArray]:
    """The model with a width and a mixing of its own for a line."""
    n = len(theta)
    more, other = np.empty(n + 2), links.copy()
    more[:n], more[n], more[n + 1] = theta, theta[links[line, WIDTH]], theta[links[line, MIXING]]
    other[line, WIDTH], other[line, MIXING] = n, n + 1
    return more, other


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
    width = _typical(fwhm, height)
    theta = np.array([lowest, 0.0, 0.0, width, MIXED])
    links = np.empty((0, 4), np.int64)
    for k in range(lines):
        theta, links = _with_another(theta, links, position[k], height[k])
        if not width / ALIKE < fwhm[k] < ALIKE * width:
            theta, links = _with_own_shape(theta, links, k)
            theta[links[k, WIDTH]] = fwhm[k]
    new = 0
    middle = 0.5 * (m - 1)
    if used < len(theta) + 6:
        return theta, links, 0
    start_heights(theta, links, y, weight, 0, m, middle)
    n = len(theta)
    slopes, curve, held = np.empty((n, m)), np.empty(m), np.zeros(n, np.bool_)
    _, squares, free = _fitted(theta, links, y, weight, slopes, curve, held, FIRST_STEPS)
    correlation = np.empty((m, len(shared)))
    correlation[:] = shared
    refined = False
    for _ in range(MOST_ROUNDS):
        n = len(theta)
        lower, nothing = np.empty((n, n)), np.zeros(n)
        normal_equations(slopes, weight, y, curve, lower, nothing)
        hold(lower, nothing, held)
        if not factor(lower):
            break
        rest = _left_over(y, curve, weight)
        clear, place, high = _best_place(theta, links, rest, weight, slopes, lower, held, shared, min_snr)
        rather, line = _best_to_free(theta, links, rest, weight, slopes, lower, held, shared, min_snr)
        if max(clear, rather) < min_snr:
            break
        if not refined:
            _, squares, free = _fitted(theta, links, y, weight, slopes, curve, held, MOST_STEPS)
            refined = True
            continue
        if rather > clear:
            theta, links = _with_own_shape(theta, links, line)
            n = len(theta)
            slopes, held = np.empty((n, m)), np.zeros(n, np.bool_)
            _, squares, free = _fitted(theta, links, y, weight, slopes, curve, held, MOST_STEPS)
            continue
        if new == MOST_NEW or used < n + 4:
            break
        before, other_links = _with_another(theta, links, place, max(high, 1e-9))
        trial, least, found = before.copy(), np.inf, False
        other_slopes, other_curve, other_held = np.empty((n + 2, m)), np.empty(m), np.zeros(n + 2, np.bool_)
        for narrower in (1.0, NARROWER):
            start = before.copy()
            start[BACKGROUND] *= narrower
            start_heights(start, other_links, y, weight, 0, m, middle)
            arrived, sum_of, count = _fitted(
                start, other_links, y, weight, other_slopes, other_curve, other_held, MOST_STEPS
            )
            if sum_of < least:
                trial[:], least = start, sum_of
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
        alone = (links[:, WIDTH] == BACKGROUND).sum() < 2
        if distance >= NEAREST * theta[BACKGROUND] or links[nearest, WIDTH] != BACKGROUND or alone:
            break
        theta, links = _with_own_shape(theta, links, nearest)
        n = len(theta)
        slopes, held = np.empty((n, m)), np.zeros(n, np.bool_)
        _, squares, free = _fitted(theta, links, y, weight, slopes, curve, held, MOST_STEPS)
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
        By how many standard uncertainties a line must be higher than nothing.

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
