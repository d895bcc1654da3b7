"""The compiled algebra of least-squares fits: normal equations, their solution, and the covariance of the result."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled, compiled_sums


@compiled
def factor(a: NDArray) -> bool:
    """Cholesky's lower triangle in the place of `a` ``(n, n)``; False if it is not positive definite."""
    n = len(a)
    for j in range(n):
        pivot = a[j, j]
        for k in range(j):
            pivot -= a[j, k] * a[j, k]
        if not pivot > 0.0:
            return False
        pivot = np.sqrt(pivot)
        a[j, j] = pivot
        for i in range(j + 1, n):
            s = a[i, j]
            for k in range(j):
                s -= a[i, k] * a[j, k]
            a[i, j] = s / pivot
    return True


@compiled
def solve(lower: NDArray, b: NDArray) -> None:
    """Solve L·Lᵀ·x = b in the place of `b` ``(n,)``."""
    n = len(b)
    for i in range(n):
        s = b[i]
        for k in range(i):
            s -= lower[i, k] * b[k]
        b[i] = s / lower[i, i]
    for i in range(n - 1, -1, -1):
        s = b[i]
        for k in range(i + 1, n):
            s -= lower[k, i] * b[k]
        b[i] = s / lower[i, i]


@compiled_sums
def normal_equations(
    slopes: NDArray, weight: NDArray, y: NDArray, curve: NDArray, matrix: NDArray, gradient: NDArray
) -> None:
    """JᵀWJ (its lower triangle) and JᵀWr of the residuals r = y − curve."""
    n, m = slopes.shape
    weighted = np.empty(m)
    for p in range(n):
        g = 0.0
        for i in range(m):
            weighted[i] = slopes[p, i] * weight[i]
            g += weighted[i] * (y[i] - curve[i])
        gradient[p] = g
        for q in range(p + 1):
            s = 0.0
            for i in range(m):
                s += weighted[i] * slopes[q, i]
            matrix[p, q] = s


@compiled
def hold(matrix: NDArray, gradient: NDArray, held: NDArray) -> None:
    """Take the parameters that are held out of the normal equations."""
    n = len(gradient)
    for p in range(n):
        if held[p]:
            gradient[p] = 0.0
            for q in range(n):
                if q <= p:
                    matrix[p, q] = 0.0
                else:
                    matrix[q, p] = 0.0
            matrix[p, p] = 1.0


@compiled_sums
def covariance(
    slopes: NDArray, weight: NDArray, deviation: NDArray, correlation: NDArray, first: int, held: NDArray
) -> tuple[bool, NDArray]:
    """(JᵀWJ)⁻¹ JᵀWCWJ (JᵀWJ)⁻¹, where C is the covariance of the bins: right whatever the weights."""
    n, m = slopes.shape
    matrix, nothing = np.empty((n, n)), np.empty(n)
    normal_equations(slopes, weight, weight, weight, matrix, nothing)
    hold(matrix, nothing, held)
    if not factor(matrix):
        return False, matrix
    weighted, spread = np.empty((n, m)), np.zeros((n, m))
    for p in range(n):
        for i in range(m):
            weighted[p, i] = 0.0 if held[p] else slopes[p, i] * weight[i] * deviation[i]
        for i in range(m):
            spread[p, i] += weighted[p, i] * correlation[first + i, 0]
            for k in range(1, min(correlation.shape[1], m - i)):
                shared = correlation[first + i, k]
                spread[p, i] += shared * weighted[p, i + k]
                spread[p, i + k] += shared * weighted[p, i]
    middle = np.empty((n, n))
    for p in range(n):
        for q in range(p + 1):
            s = 0.0
            for i in range(m):
                s += weighted[p, i] * spread[q, i]
            middle[p, q] = middle[q, p] = s
    for p in range(n):  # symmetric, so that rows are columns
        solve(matrix, middle[p])
    turned = np.empty((n, n))
    for p in range(n):
        for q in range(n):
            turned[p, q] = middle[q, p]
        solve(matrix, turned[p])
    return True, turned
