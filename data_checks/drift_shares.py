"""What an import is compared with, and how far a share of its rows is from theirs: what each look of drift.py uses."""

from collections.abc import Sequence
from dataclasses import dataclass

from data_checks.measures import proportions_differ
from models.import_findings import Finding, Severity
from models.import_profiles import Profile

FEWEST_ROWS = 30
MOST_WEIGHED = 1_000  # rows of one import: a large one does not outweigh all others
FADING = 0.7  # the weight of each import beside the one after it
FAR = 2.0  # times the threshold

Share = tuple[float, float]  # how many, of how many


@dataclass(frozen=True)
class Side:
    """The import, and the accepted ones with enough rows, newest first."""

    now: Profile
    earlier: Sequence[Profile]

    def having(self, name: str) -> list[Profile]:
        return [one for one in self.earlier if name in one.columns]


@dataclass(frozen=True)
class Distance:
    """How far a share is from the nearest of the earlier ones, beyond all of them, and what they are together."""

    now: float
    before: float
    far: float  # below zero where there is less than before


def distance(now: Share, earlier: Sequence[Share]) -> Distance | None:
    """None where the share lies among the earlier ones, or chance explains the difference."""
    weighed = [(part * weight, whole * weight) for (part, whole), weight in zip(earlier, weights(earlier), strict=True)]
    part, whole = (sum(sums) for sums in zip(*weighed, strict=True)) if weighed else (0.0, 0.0)
    if not now[1] or not whole or not proportions_differ(*now, part, whole):
        return None
    share = now[0] / now[1]
    shares = [part / whole, *(one / of for one, of in earlier if of >= FEWEST_ROWS)]
    if min(shares) <= share <= max(shares):
        return None
    nearest = max(shares) if share > max(shares) else min(shares)
    return Distance(share, part / whole, share - nearest)


def weights(earlier: Sequence[Share]) -> list[float]:
    """Newest first: each counts less than the one after it, and no large one more than MOST_WEIGHED rows."""
    return [FADING**place * min(1.0, MOST_WEIGHED / of) if of else 0.0 for place, (_, of) in enumerate(earlier)]


def finding(name: str, field: str | None, strength: float, sentence: str, **details: object) -> Finding:
    severity = Severity.HIGH if strength >= FAR else Severity.MEDIUM
    return Finding(name, field, severity, round(strength, 3), sentence, details)
