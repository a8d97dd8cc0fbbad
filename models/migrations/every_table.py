"""Imports every module that declares a table, so that Base.metadata is whole."""

from models import (
    accounts,
    audit,
    check_results,
    credits,
    exports,
    import_acceptances,
    import_changes,
    import_findings,
    import_places,
    import_profiles,
    import_undos,
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
    view_exports,
    views,
)
from models.contacts import history, table

__all__ = [
    "accounts", "audit", "check_results", "credits", "exports", "history", "import_acceptances", "import_changes",
    "import_findings", "import_places", "import_profiles", "import_undos", "imports", "industries", "link_tokens",
    "mails", "preferences", "request_limits", "role_rules", "second_factors", "sign_in_failures", "sign_in_sessions",
    "table", "view_exports", "views",
]  # fmt: skip
