"""Imports every module that declares a table, so that Base.metadata is whole."""

from models import (
    account_links,
    audit,
    check_results,
    credits,
    exports,
    imports,
    industries,
    mails,
    preferences,
    request_limits,
    role_rules,
    second_factors,
    sign_ins,
    users,
)
from models.contacts import history, table

__all__ = [
    "account_links", "audit", "check_results", "credits", "exports", "history", "imports", "industries", "mails",
    "preferences", "request_limits", "role_rules", "second_factors", "sign_ins", "table", "users",
]  # fmt: skip
