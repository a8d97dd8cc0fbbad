"""Checks of the data as a run leaves them, without the library that makes them."""

from collections.abc import Mapping

from data_checks import industry_suite, payment_suite
from models import check_runs
from models.check_results import Verdict
from models.check_rules import Rule
from models.contacts import quality
from models.permissions import OPERATOR


def checked(failing: Mapping[str, int] = {}, *, named: str = "pay_17") -> int:  # it is not changed
    """A run that is done, in which so many rows of ten break the rules of these names; `named` is such a row, where
    rows have names. Returns its number."""
    run_id = check_runs.ask(by=OPERATOR)
    check_runs.begin(run_id)
    check_runs.count_filled(run_id)
    rules = [*quality.rules(), *industry_suite.rules(), *payment_suite.rules()]
    check_runs.finish(run_id, [_verdict(rule, failing.get(rule.name, 0), named) for rule in rules])
    return run_id


def _verdict(rule: Rule, failing: int, named: str) -> Verdict:
    details = {
        "sentence": rule.sentence, "tolerance": rule.tolerance, "blocks": rule.blocks, "rows": 10, "empty": 0,
        "examples": [named] * bool(failing),
    }  # fmt: skip
    return Verdict(rule.name, rule.field, failing <= 10 * (1 - rule.tolerance), 10, failing, details, rule.about)
