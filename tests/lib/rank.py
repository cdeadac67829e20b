# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Do two samples come from one distribution? The rank test of Mann and Whitney (1947), two-sided, by the normal
approximation with the correction for ties and for continuity, as statistics programs do it for samples of more than 50."""
import math


def ranks(values):
    """Each value's rank from 1; equal ones share the mean of their ranks. And the sum of t^3 - t over groups of equals."""
    order = sorted(range(len(values)), key=values.__getitem__)
    result, ties, i = [0.0] * len(values), 0, 0
    while i < len(order):
        j = i
        while j < len(order) and values[order[j]] == values[order[i]]:
            j += 1
        for k in order[i:j]:
            result[k] = (i + j + 1) / 2
        ties += (j - i) ** 3 - (j - i)
        i = j
    return result, ties


def mann_whitney(a, b):
    """(U of a, p). U / (len(a) * len(b)) is the chance that one of a is more than one of b: 0.5 when they are alike."""
    n, m = len(a), len(b)
    both, ties = ranks([*a, *b])
    u = sum(both[:n]) - n * (n + 1) / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance == 0:
        return u, 1.0  # all equal
    away = max(abs(u - n * m / 2) - 0.5, 0)
    return u, math.erfc(away / math.sqrt(2 * variance))
