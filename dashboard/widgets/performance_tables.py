"""The report's tables, one part at a time."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import formats
from models.performance.shapes import Report, Statement
from models.performance.texts import who

Rows = list[dict[str, Any]]


def tables(report: Report) -> None:
    choice = st.segmented_control(
        "Part", list(PARTS), default=next(iter(PARTS)), key="performance part", label_visibility="collapsed",
        required=True,
    )  # fmt: skip
    rows = PARTS[choice or next(iter(PARTS))](report)
    if rows:
        frame = pd.DataFrame(rows)
        numbers = frame.select_dtypes("number").columns.difference(["Process"])
        config: dict[str, Any] = {name: st.column_config.NumberColumn(format="localized") for name in numbers}
        config["Statement"] = st.column_config.TextColumn(width="large")
        st.dataframe(frame, hide_index=True, width="stretch", placeholder=formats.MISSING, column_config=config)
    else:
        st.caption("Nothing in these days.")
    if choice == "Tables":
        st.caption(f"What holds nothing: {report.bloat_source}.")


def _statements(found: list[Statement]) -> Rows:
    return [
        {
            "Seconds": round(one.seconds, 2), "Mean, ms": round(one.mean_ms, 1),
            "Week before, ms": None if one.before_ms is None else round(one.before_ms, 1), "Calls": one.calls,
            "Sent by": "; ".join(who(cause) for cause in one.causes) or "–", "Statement": " ".join(one.text.split()),
        }
        for one in found
    ]  # fmt: skip


def _transactions(report: Report) -> Rows:
    return [
        {
            "Open for": formats.duration(one.seconds), "Program": one.program, "State": one.state, "Process": one.pid,
        }
        for one in report.transactions
    ]  # fmt: skip


def _causes(report: Report) -> Rows:
    return [
        {
            "Seconds": round(one.seconds, 2), "Times": one.times, "What": f"{one.kind} {one.operation}",
            "View": one.view or "–", "Who": one.person or "–",
        }
        for one in report.causes
    ]  # fmt: skip


def _operations(report: Report) -> Rows:
    return [
        {
            "What": f"{one.kind} {one.operation}", "Half within, ms": round(one.p50_ms, 1),
            "99 % within, ms": round(one.p99_ms, 1), "Slowest, ms": round(one.slowest_ms, 1), "Times": one.times,
            "Failed": one.failed, "Statements": round(one.statements, 1), "Rows": round(one.rows, 1),
        }
        for one in report.operations
    ]  # fmt: skip


def _slow(report: Report) -> Rows:
    return [
        {
            "When": formats.moment(one.at), "Seconds": round(one.seconds, 2),
            "In statements, s": round(one.statement_seconds, 2), "What": f"{one.kind} {one.operation}",
            "View": one.view or "–", "Who": one.person or "–", "Statements": one.statements, "Rows": one.rows,
        }
        for one in report.slow
    ]  # fmt: skip


def _tables(report: Report) -> Rows:
    return [
        {
            "Table": one.name, "Rows": one.rows, "Size": formats.size(one.bytes),
            "Indexes": formats.size(one.index_bytes),
            "Grown": "–" if one.grown is None else f"{'-' if one.grown < 0 else ''}{formats.size(abs(one.grown))}",
            "Holds nothing": "–" if one.bloat is None else formats.size(one.bloat), "Dead rows": one.dead,
        }
        for one in report.tables
    ]  # fmt: skip


def _indexes(report: Report) -> Rows:
    return [
        {"Index": one.name, "Table": one.table, "Size": formats.size(one.bytes), "Read": one.scans}
        for one in report.indexes
    ]  # fmt: skip


def _work(report: Report) -> Rows:
    moved = [
        {
            "What": one.what,
            "Runs": one.runs,
            "Failed": 0,
            "Rows": one.rows,
            "Seconds": round(one.seconds, 1),
            "Rows a second": one.rows_per_second and round(one.rows_per_second),
            "Week before": one.before and f"{formats.number(one.before)} rows/s",
        }
        for one in report.speeds
    ]
    flows = [
        {
            "What": one.flow,
            "Runs": one.runs,
            "Failed": one.failed,
            "Rows": None,
            "Seconds": round(one.mean, 1),
            "Rows a second": None,
            "Week before": one.before and formats.duration(one.before),
        }
        for one in report.flows
    ]
    return [*moved, *flows]  # fmt: skip


PARTS: dict[str, Callable[[Report], Rows]] = {
    "Statements": lambda report: _statements(report.statements),
    "Slowest on average": lambda report: _statements(report.by_mean),
    "Who and what": _causes, "Screens and routes": _operations, "Slow ones": _slow, "Tables": _tables,
    "Indexes": _indexes, "Imports, exports, flows": _work, "Open transactions": _transactions,
}  # fmt: skip
