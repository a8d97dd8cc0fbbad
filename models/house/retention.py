"""What is kept for how long: one table. Each kind has its setting, one place that removes it, and what goes with it.

`pipelines/keep_house.py` removes those with a `clear`, once a day; the sweep the others, each minute, since somebody
waits for the room or the secret is over.

What an unset setting keeps for ever is what nobody could bring back:

- History of contacts (models/contacts/history_retention.py says what is kept nevertheless): before the moment until
  which it was removed no import can be undone and nothing can be looked at as of then; both refuse, and say why.
- Rows that did not come in: their import keeps its numbers and reasons, and its file, if that is kept.
- Uploads: the file itself; what came of its rows stays.
"""

from collections.abc import Callable
from dataclasses import dataclass

from models import audit, check_runs, flow_runs, import_expiry, timings
from models.contacts import history_retention
from models.house import reports
from models.performance import reports as performance
from models.settings import settings


@dataclass(frozen=True)
class Rule:
    """`setting` is the field of Settings; `tables` and `folder` are what holds it; `clear` takes the days."""

    what: str
    setting: str
    gives_up: str
    tables: tuple[str, ...] = ()
    folder: str | None = None
    clear: Callable[[int], int] | None = None

    @property
    def days(self) -> int | None:
        days: int | None = getattr(settings(), self.setting)
        return days

    @property
    def variable(self) -> str:
        return f"APPOINTMENT360_{self.setting.upper()}"


def _clear_reports(days: int) -> int:
    return performance.clear_past(days) + reports.clear_past(days)


RULES = (
    Rule("History of contacts", "days_kept_history", "Undo of imports and “as of” before that moment.",
         ("contact_history",), clear=history_retention.expire),
    Rule("Rows that did not come in", "days_kept_rejects", "The rows of ended imports; numbers and reasons stay.",
         ("import_rejects",), clear=import_expiry.expire_rejects),
    Rule("Uploaded files", "days_kept_uploads", "The files of ended imports; what came of their rows stays.",
         folder="imports", clear=import_expiry.expire_uploads),
    Rule("Plans", "days_kept_plans", "Working copies of imports that nobody came back to."),
    Rule("Exported files", "days_kept_exports", "The files; their receipts stay, and can be run again.",
         folder="exports"),
    Rule("Audit log", "days_kept_audit", "Its oldest lines.", ("audit_log",),
         clear=lambda days: audit.expire(older_than_days=days)),
    Rule("Checks of the data", "days_kept_checks", "The trend before; the last check stays.",
         ("check_runs", "check_results"), clear=lambda days: check_runs.clear_past(older_than_days=days)),
    Rule("Timings", "days_kept_timings", "How long screens, requests and statements took then.",
         ("timings", "statement_timings", "slow_operations"), clear=timings.clear_past),
    Rule("Runs of flows", "days_kept_runs", "What ran when, and how it ended.", ("flow_runs",),
         clear=flow_runs.clear_past),
    Rule("Reports", "days_kept_reports", "Those of performance and housekeeping, with their trends.",
         ("performance_reports", "statement_counters", "relation_counters", "house_reports"),
         clear=_clear_reports),
)  # fmt: skip
