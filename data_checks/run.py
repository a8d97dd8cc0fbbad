"""Checks a table against rules with Great Expectations: the only module that knows a context of it.

Importing this module takes seconds and 200 MB. Only the checker's process does so (data_checks/gate.py).
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read once, by the import below

import great_expectations as gx
import great_expectations.expectations as gxe
from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.datasource.fluent.interfaces import Batch, TestConnectionError
from great_expectations.exceptions.exceptions import GreatExpectationsError
from great_expectations.expectations.expectation import ColumnMapExpectation
from sqlalchemy import NullPool, create_engine, inspect, text
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from data_checks import expectations, suites
from models.check_results import Verdict
from models.check_rules import TODAY_SQL, Demand, Rule
from models.contacts import quality
from models.database import sqlalchemy_url
from models.errors import AppError, NotFound, Unavailable

EXAMPLES = 5
ROWS_NAMED = 20  # of a rule whose column names the row
LONGEST_EXAMPLE = 200  # characters

# It warns of every class that is derived from one of its own, and gives some of its loggers a level of their own.
for name in [one for one in logging.root.manager.loggerDict if one.startswith("great_expectations.")]:
    logging.getLogger(name).setLevel(logging.NOTSET)
logging.getLogger("great_expectations").setLevel(logging.ERROR)


class CheckFailed(AppError):
    """A rule could not be evaluated at all; the sentence names the rule and the cause."""


def check_table(url: str, table: str, schema: str | None = None, rules: Sequence[Rule] | None = None) -> list[Verdict]:
    """What each rule says of the table, in the rules' order; rules for columns the table lacks say nothing.

    A Verdict's `checked` counts the filled values, or all rows for a rule about rows. Its details hold: sentence,
    tolerance, blocks, rows (of the table), empty (values that are null; 0 for a rule about rows), and examples (up to
    EXAMPLES failing values, as text, or the names of ROWS_NAMED failing rows where the rule names them; none for
    another rule about rows). Without `rules` those for contacts are taken.
    Raises NotFound (no such table), Unavailable (the database does not answer), CheckFailed.
    """
    url, place = sqlalchemy_url(url), f"{schema}.{table}" if schema else table
    with _sentences(place):
        present, today = _seen(url, table, schema)
        fitting = [kept for rule in rules or quality.rules() if (kept := rule.on(present))]
        with _batch(url, table, schema) as batch:
            counted = _counted(batch, fitting, today)
            examples = _examples(
                batch, [rule for rule in fitting if _shows(rule) and counted[rule.name].failing], today
            )
    return [_with_examples(counted[rule.name], examples.get(rule.name, [])) for rule in fitting]


def check_everything(url: str) -> list[Verdict]:
    """`check_table` of every table that has a suite: contacts, industries, payments. Raises what that does."""
    return [verdict for table, rules in suites.every().items() for verdict in check_table(url, table, rules=rules)]


def get_ready() -> None:
    """Do once what every check needs, so that processes forked from here need not: derive the expectations' classes."""
    for rule in (rule for rules in suites.every().values() for rule in rules):
        _expectation(rule, expectations.COUNTS, date.max)
        _expectation(rule, expectations.VALUES, date.max)
    gx.get_context(mode="ephemeral")


@contextmanager
def _sentences(place: str) -> Iterator[None]:
    try:
        yield
    except NoSuchTableError as error:
        raise NotFound(f"There is no table {place} to check.") from error
    except (SQLAlchemyError, GreatExpectationsError, TestConnectionError) as error:
        cause = str(getattr(error, "orig", None) or error).strip()
        raise Unavailable(f"The data checks could not read the table {place}: {cause}") from error


def _seen(url: str, table: str, schema: str | None) -> tuple[set[str], date]:
    """The table's columns, and the day that the database has."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        present = {column["name"] for column in inspect(connection).get_columns(table, schema=schema)}
        today: date = connection.scalars(text(f"SELECT {TODAY_SQL}")).one()
        return present, today


def _shows(rule: Rule) -> bool:
    """Whether failing rows have something to show: one without any value has not."""
    return rule.demand is not Demand.FILLED


@contextmanager
def _batch(url: str, table: str, schema: str | None) -> Iterator[Batch]:
    """The table as the library sees it, in a context of its own that leaves nothing behind."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    # The library puts environment variables into addresses, wherever it sees a dollar sign.
    source = context.data_sources.add_sql("database", connection_string=url.replace("$", "%24"))
    # A table, not a query: for a query's columns the library fetches all of its rows.
    asset = source.add_table_asset("table", table_name=table, schema_name=schema)
    batch = asset.add_batch_definition_whole_table("whole").get_batch()
    try:
        yield batch
    finally:
        batch.data.execution_engine.close()
        source.get_engine().dispose()


def _counted(batch: Batch, rules: Sequence[Rule], today: date) -> dict[str, Verdict]:
    found = _validated(batch, rules, expectations.COUNTS, today)
    return {rule.name: _verdict(rule, found[rule.name]) for rule in rules}


def _examples(batch: Batch, rules: Sequence[Rule], today: date) -> dict[str, list[str]]:
    found = _validated(batch, rules, expectations.VALUES, today)
    return {name: [_shown(value) for value in result["partial_unexpected_list"]] for name, result in found.items()}


def _validated(
    batch: Batch, rules: Sequence[Rule], wanted: tuple[str, ...], today: date
) -> dict[str, Mapping[str, Any]]:
    """Per rule the library's result, with the metrics `wanted` only; all rules in one validation."""
    if not rules:
        return {}
    suite = gx.ExpectationSuite("contacts", expectations=[_expectation(rule, wanted, today) for rule in rules])
    most = ROWS_NAMED if all(rule.demand is Demand.HOLDS for rule in rules) else EXAMPLES
    form = {"result_format": "BASIC", "partial_unexpected_count": most}
    results = {_rule_of(one): one for one in batch.validate(suite, result_format=form).results}
    return {rule.name: _result_of(results[rule.name], rule) for rule in rules}


def _expectation(rule: Rule, wanted: tuple[str, ...], today: date) -> ColumnMapExpectation:
    name, given = suites.asked(rule, today)
    kind = getattr(expectations, name, None) or getattr(gxe, name)
    column, *others = rule.columns
    also = {"others": others} if kind is expectations.ExpectAnyColumnToBeFilled else {}
    arguments: dict[str, Any] = {"column": column, "mostly": rule.tolerance, **given, **also}
    return expectations.asking_only_for(kind, wanted)(meta={"rule": rule.name}, **arguments)


def _rule_of(result: ExpectationValidationResult) -> str:
    asked = result.expectation_config
    if asked is None or not asked.meta:
        raise CheckFailed(
            "A result of the data checks names no rule: the library and this program do not fit together."
        )
    return str(asked.meta["rule"])


def _result_of(result: ExpectationValidationResult, rule: Rule) -> Mapping[str, Any]:
    info = result.exception_info or {}
    # One entry for the expectation itself, or one per metric that it needed.
    for one in [info, *(each for each in info.values() if isinstance(each, dict))]:
        if one.get("raised_exception"):
            cause = str(one.get("exception_message")).strip().splitlines()[0]
            raise CheckFailed(f"The check “{rule.sentence}” ({rule.name}) could not run: {cause}")
    return {**result.result, "success": result.success}


def _verdict(rule: Rule, result: Mapping[str, Any]) -> Verdict:
    rows, empty = result["element_count"], result.get("missing_count") or 0
    details = {
        "sentence": rule.sentence, "tolerance": rule.tolerance, "blocks": rule.blocks, "rows": rows, "empty": empty,
        "examples": [],
    }  # fmt: skip
    failing = result["unexpected_count"] or 0  # the sum over an empty table is null
    return Verdict(rule.name, rule.field, bool(result["success"]), rows - empty, failing, details, rule.about)


def _with_examples(verdict: Verdict, examples: list[str]) -> Verdict:
    return replace(verdict, details={**(verdict.details or {}), "examples": examples})


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_EXAMPLE else text[:LONGEST_EXAMPLE] + "…"
