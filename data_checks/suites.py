"""Every suite by the table that it is asked of, and the rules in Great Expectations' words, without loading it."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from data_checks import industry_suite, payment_suite
from models.check_rules import TODAY, Demand, Rule
from models.contacts import quality
from models.contacts.table import Contact

Given = Mapping[str, Any]
Asked = tuple[str, Callable[[Given], dict[str, Any]]]

# The expectation's name, and its arguments from what is given with a rule.
EXPECTATIONS: dict[Demand, Asked] = {
    Demand.FILLED: ("ExpectAnyColumnToBeFilled", lambda given: {}),
    Demand.MATCHES: ("ExpectColumnValuesToMatchRegex", lambda given: {"regex": given["pattern"]}),
    Demand.LIKE: (
        "ExpectColumnValuesToMatchLikePatternList",
        lambda given: {"like_pattern_list": given["patterns"], "match_on": "any"},
    ),
    Demand.BETWEEN: (
        "ExpectColumnValuesToBeBetween",
        lambda given: {"min_value": given["least"], "max_value": given["most"]},
    ),
    Demand.ONE_OF: ("ExpectColumnValuesToBeInSet", lambda given: {"value_set": given["values"]}),
    Demand.LENGTH: ("ExpectColumnValueLengthsToBeBetween", lambda given: {"max_value": given["most"]}),
    Demand.ONCE: ("ExpectColumnValuesToBeUnique", lambda given: {}),
    Demand.HOLDS: ("ExpectConditionToHold", lambda given: {"condition": _held(given["table"], given["condition"])}),
}


def every() -> dict[str, list[Rule]]:
    """Table -> its rules: contacts, industries, and what is stored of payments."""
    return {
        Contact.__tablename__: list(quality.rules()),
        industry_suite.TABLE: industry_suite.rules(),
        **payment_suite.suites(),
    }


def _held(table: str, condition: str) -> str:
    """The library gives the table a name of its own, which a condition that looks into other tables cannot know: it is
    asked of the table once more, and the rows of both go by their ids."""
    return f"id NOT IN (SELECT {table}.id FROM {table} WHERE NOT coalesce(({condition}), false))"


def asked(rule: Rule, today: date) -> tuple[str, dict[str, Any]]:
    """The name of the expectation for a rule, and its arguments without those that all have."""
    name, arguments = EXPECTATIONS[rule.demand]
    return name, {key: today if value == TODAY else value for key, value in arguments(rule.given).items()}
