"""Imports every module that declares a table, so that Base.metadata is whole."""

from models import (
    accounts,
    audit,
    backup_alerts,
    backup_places,
    backups,
    check_results,
    check_switches,
    credits,
    disk_alerts,
    exports,
    flow_runs,
    flow_schedules,
    idempotency,
    import_acceptances,
    import_changes,
    import_findings,
    import_parts,
    import_places,
    import_profiles,
    import_undos,
    imports,
    industries,
    kept,
    link_tokens,
    mails,
    mappings,
    preferences,
    recovery,
    request_hours,
    request_limits,
    role_rules,
    second_factors,
    sign_in_failures,
    sign_in_sessions,
    timings,
    tokens,
    view_exports,
    views,
    watched_files,
    watched_folders,
)
from models.contacts import feed, history, history_retention, table
from models.database import Base
from models.duplicates import tables as duplicates
from models.house import reports as house
from models.payments import tables as payments
from models.performance import reports as performance

__all__ = [
    "TABLES",
    "accounts", "audit", "backup_alerts", "backup_places", "backups", "check_results", "check_switches", "credits",
    "disk_alerts", "duplicates", "exports",
    "feed", "flow_runs", "flow_schedules", "history", "history_retention", "house",
    "idempotency", "import_acceptances", "import_changes", "import_findings",
    "import_parts", "import_places", "import_profiles", "import_undos", "imports", "industries", "kept",
    "link_tokens", "mails",
    "mappings", "payments", "performance", "preferences", "recovery", "request_hours", "request_limits", "role_rules",
    "second_factors", "sign_in_failures", "sign_in_sessions", "table", "timings", "tokens", "view_exports", "views",
    "watched_files", "watched_folders",
]  # fmt: skip
TABLES = Base.metadata.tables
