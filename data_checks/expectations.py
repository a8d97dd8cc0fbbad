"""Great Expectations, extended: an expectation about several columns, and ones that ask the database for less.

Loads the library; only data_checks/run.py imports this module.
"""

from functools import cache
from typing import Any, ClassVar

from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
    ColumnMapMetricProvider,
)
from great_expectations.validator.validator import ValidationDependencies
from sqlalchemy import Boolean, ColumnElement, literal_column, or_
from sqlalchemy import column as named

COUNTS = ("table.row_count", "unexpected_count")
VALUES = ("unexpected_values",)


class AnyColumnFilled(ColumnMapMetricProvider):
    """The column or one of `others` has a value."""

    condition_metric_name = "column_values.any_filled"
    condition_value_keys = ("others",)
    filter_column_isnull = False

    # The library hands the class to what it decorates.
    @column_condition_partial(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, column: ColumnElement[Any], others: list[str], **_: Any) -> ColumnElement[bool]:  # noqa: N805  # GX passes the class
        return or_(column.is_not(None), *(named(other).is_not(None) for other in others))


class ExpectAnyColumnToBeFilled(ExpectColumnValuesToNotBeNull):
    """At least one of `column` and `others` is not null in each row."""

    others: list[str]
    map_metric: ClassVar[str] = "column_values.any_filled"
    success_keys: ClassVar[tuple[str, ...]] = ("mostly", "others")


class ConditionHolds(ColumnMapMetricProvider):
    """A condition in SQL, which may look into other tables, is true of the row; the column only names the row."""

    condition_metric_name = "column_values.condition_holds"
    condition_value_keys = ("condition",)
    filter_column_isnull = False

    @column_condition_partial(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, column: ColumnElement[Any], condition: str, **_: Any) -> ColumnElement[bool]:  # noqa: N805  # GX passes the class
        return literal_column(f"({condition})", Boolean)


class ExpectConditionToHold(ExpectColumnValuesToNotBeNull):
    """`condition` is true of each row."""

    condition: str
    map_metric: ClassVar[str] = "column_values.condition_holds"
    success_keys: ClassVar[tuple[str, ...]] = ("mostly", "condition")


@cache
def asking_only_for(expectation: type[ColumnMapExpectation], wanted: tuple[str, ...]) -> type[ColumnMapExpectation]:
    """The expectation with only those of its metrics whose names end in `wanted`.

    Every result format that gives the count of failing values also fetches the values, with a query of its own for
    each expectation: 20 passes over the table instead of one. The count alone is an aggregate like the others'.
    """

    def get_validation_dependencies(
        self: Any,
        execution_engine: ExecutionEngine[Any] | None = None,
        runtime_configuration: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> ValidationDependencies:
        needed = expectation.get_validation_dependencies(self, execution_engine, runtime_configuration, **kwargs)
        for name in needed.get_metric_names():
            if not name.endswith(wanted):
                needed.remove_metric_configuration(name)
        return needed

    words = "And".join(word.title().replace("_", "").replace(".", "") for word in wanted)
    return type(
        f"{expectation.__name__}By{words}",
        (expectation,),
        {"get_validation_dependencies": get_validation_dependencies, "__module__": __name__},
    )
