"""What the rules for contacts (models/contacts/quality.py) say of an import's rows: what stops its commit."""

from collections.abc import Iterable, Mapping

from models.check_results import Verdict
from models.check_rules import ALL
from models.contacts.quality import IDENTIFYING
from models.import_findings import Finding, Severity

FEWEST_BLOCKED = 30  # values


def broken(verdicts: Iterable[Verdict], switches: Mapping[str, bool] | None = None) -> list[Finding]:
    """The broken rules that stop a commit, as what stands out; `switches` are those that people decided otherwise of.
    Where some values may break a rule, a few rows are too few to tell a wrong column from them."""
    return [_finding(one) for one in verdicts if not one.success and _stops(one, switches or {})]


def _stops(one: Verdict, switches: Mapping[str, bool]) -> bool:
    details = one.details or {}
    blocks = switches.get(one.name, details.get("blocks", False))
    return blocks and (details["tolerance"] == ALL or one.checked >= FEWEST_BLOCKED)


def _finding(one: Verdict) -> Finding:
    details = one.details or {}
    share = one.failing / one.checked if one.checked else 1.0
    others = [] if one.field else list(IDENTIFYING)
    examples = [[value, None] for value in dict.fromkeys(details.get("examples", ()))]
    rows = "1 row breaks" if one.failing == 1 else f"{one.failing:,} rows break"
    return Finding(
        f"rule_{one.name}", one.field, Severity.HIGH, round(1 + share, 3), f"{rows} a rule: {details['sentence']}",
        {"now": share, "others": others, "examples": examples},
    )  # fmt: skip
