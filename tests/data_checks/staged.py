"""Staging tables as an import makes them, with good rows and rows that break one rule each."""

from typing import Any

import psycopg
from psycopg import sql

from models.contacts.table import FIELDS
from models.fields import Kind

TYPES = {
    Kind.LIST: "text[]",
    Kind.WHOLE: "bigint",
    Kind.MONEY: "numeric(15,2)",
    Kind.DATE: "date",
    Kind.FLAG: "boolean",
}
GOOD: dict[str, Any] = {
    "first_name": "Ann",
    "last_name": "Smith",
    "title": "VP Sales",
    "seniority": "VP",
    "departments": ["Sales"],
    "email": "ann@example.com",
    "email_status": "Verified",
    "work_direct_phone": "+44 20 7946 0958 ext. 12",
    "mobile_phone": "(555) 010-0199",
    "company": "Acme",
    "industry": "Software",
    "employees": 51,
    "website": "https://acme.example.com",
    "annual_revenue": 5_200_000,
    "total_funding": 0,
    "last_raised_at": "2020-05-01",
    "person_linkedin_url": "https://www.linkedin.com/in/ann",
    "twitter_url": "https://x.com/ann",
    "status": "active",
    "is_active": True,
    "owner": "ann@example.com",
}


def make(url: str, table: str, rows: list[dict[str, Any]], *, without: tuple[str, ...] = ()) -> None:
    """Create staging.`table` with a column per field, except those `without`, and fill it."""
    names = [name for name in FIELDS if name not in without]
    columns = ", ".join(f'"{name}" {TYPES.get(FIELDS[name].kind, "text")}' for name in names)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS staging")
        connection.execute(f"CREATE UNLOGGED TABLE staging.{table} (line bigint, problem text, {columns})")
        for line, row in enumerate(rows, start=2):
            filled = {"line": line, **row}
            statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier("staging", table),
                sql.SQL(", ").join(map(sql.Identifier, filled)),
                sql.SQL(", ").join(map(sql.Placeholder, filled)),
            )
            connection.execute(statement, filled)
