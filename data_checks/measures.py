"""How far apart two samples are: the formulas that drift is judged by, each with its source."""

from collections.abc import Mapping
from math import asin, log, sqrt

LEAST_SHARE = 0.05  # of all values that a bucket holds before the index is formed; rarer ones are joined
SMALLEST = 0.001  # in place of a bucket's share of nothing, whose logarithm there is none of
CERTAIN = 4.0  # standard errors; a hundred comparisons are made of an import, of which chance explains one in 16,000


def proportions_differ(ours: float, of_ours: float, theirs: float, of_theirs: float) -> bool:
    """Whether `ours` of `of_ours` and `theirs` of `of_theirs` are more different than chance lets two samples be.

    The two-sample z test of arcsine transformed proportions, whose variance does not depend on the proportion, so that
    it holds for few rows and rare events, too (J. Cohen: Statistical Power Analysis for the Behavioral Sciences, 2nd
    edition, 1988, chapter 6; M. F. Freeman, J. W. Tukey, Annals of Mathematical Statistics 21, 1950).
    """
    if of_ours <= 0 or of_theirs <= 0:
        return False
    angles = (2 * asin(sqrt(min(part / whole, 1.0))) for part, whole in ((ours, of_ours), (theirs, of_theirs)))
    return abs(next(angles) - next(angles)) / sqrt(1 / of_ours + 1 / of_theirs) > CERTAIN


def stability_index(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float:
    """The population stability index of two histograms over the same ordered buckets, rare ones joined.

    Sum of (p - q) ln(p / q) over the buckets (N. Siddiqi: Credit Risk Scorecards, 2006, chapter 10), the symmetric
    divergence of H. Jeffreys and of S. Kullback and R. Leibler (1951). By Siddiqi's rule of thumb below 0.1 nothing
    has moved, and above 0.25 much.
    """
    pairs = [(max(p, SMALLEST), max(q, SMALLEST)) for _, p, q in joined(ours, theirs)]
    return sum((p - q) * log(p / q) for p, q in pairs)


def by_chance(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float:
    """How large the index of two samples of one population hardly ever is.

    It is distributed as (1/n + 1/m) times chi-squared with one degree less than there are buckets (B. Yurdakul, J.
    Naranjo: Statistical properties of the population stability index, Journal of Risk Model Validation 14, 2020); the
    quantile by E. B. Wilson and M. M. Hilferty (PNAS 17, 1931).
    """
    n, m = sum(ours.values()), sum(theirs.values())
    if not n or not m:
        return float("inf")
    degrees = max(len(joined(ours, theirs)) - 1, 1)
    part = 2 / (9 * degrees)
    quantile = degrees * (1 - part + CERTAIN * sqrt(part)) ** 3
    return (1 / n + 1 / m) * quantile


def joined(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[tuple[int, float, float]]:
    """(where it begins, the share of both in it) of each bucket, neighbours joined until one has LEAST_SHARE there."""
    n, m = sum(ours.values()), sum(theirs.values())
    found: list[tuple[int, float, float]] = []
    begin, p, q = None, 0.0, 0.0
    for bucket in sorted({*ours, *theirs}):
        begin = bucket if begin is None else begin
        p, q = p + ours.get(bucket, 0) / n, q + theirs.get(bucket, 0) / m
        if max(p, q) >= LEAST_SHARE:
            found.append((begin, p, q))
            begin, p, q = None, 0.0, 0.0
    if begin is not None and found:
        last, ours_there, theirs_there = found.pop()
        found.append((last, ours_there + p, theirs_there + q))
    return found
