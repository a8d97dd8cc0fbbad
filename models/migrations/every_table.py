"""Imports every module that declares a table, so that Base.metadata is whole."""

from models import (
    accounts,
    audit,
    check_results,
    credits,
    exports,
    import_changes,
    import_places,
    imports,
    industries,
    link_tokens,
    mails,
    preferences,
    request_limits,
    role_rules,
    second_factors,
    sign_in_failures,
    sign_in_sessions,
)
from models.contacts import history, table

__all__ = [
    "accounts", "audit", "check_results", "credits", "exports", "history", "import_changes", "import_places", "imports",
    "industries", "link_tokens", "mails", "preferences", "request_limits", "role_rules", "second_factors",
    "sign_in_failures", "sign_in_sessions", "table",
]  # fmt: skip
