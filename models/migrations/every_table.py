"""Imports every module that declares a table, so that Base.metadata is whole."""

from models import audit, check_results, exports, imports, industries, preferences, sign_ins, users
from models.contacts import history, table

__all__ = [
    "audit", "check_results", "exports", "history", "imports", "industries", "preferences", "sign_ins", "table",
    "users",
]  # fmt: skip
