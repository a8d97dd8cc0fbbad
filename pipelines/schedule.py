"""What runs by itself: one table. A flow stands in pipelines/flows.py; a line here gives it its moments.

Each flow has FLOW/default in Prefect for who asks for it, and one of this table FLOW/scheduled for its moments. They
wait in queues of their own, so that what a person waits for goes before what is scheduled. A setting,
APPOINTMENT360_SCHEDULE_FLOW, gives other moments, or “off”.
"""

from dataclasses import dataclass

from models import settings
from models.flow_schedules import Entry


@dataclass(frozen=True)
class Queue:
    """Where runs wait: 1 is the first `priority`; `at_once` is how many may run at once on one machine."""

    name: str
    priority: int
    at_once: int | None


ASKED, SCHEDULED = Queue("asked", 1, None), Queue("scheduled", 10, 1)


@dataclass(frozen=True)
class Scheduled:
    """`cron` in the time zone of the setting; `again` is what a second run does. One due while another runs does
    nothing, and moments that were missed while the machine was off are made up by one run."""

    flow: str
    cron: str
    again: str
    queue: Queue = SCHEDULED


SCHEDULE = (
    Scheduled("back-up", "0 1 * * *", "Makes another backup; generations that nobody needs are removed."),
    Scheduled("validate-contacts", "30 2 * * *", "Checks once more: another point of each trend, and no second mail."),
    Scheduled("report-performance", "45 3 * * *", "Makes another report; what changed is told against older ones."),
    Scheduled("keep-house", "30 4 * * *", "Removes what became due since, and takes stock once more."),
    Scheduled("reconcile-payments", "20 */6 * * *", "Compares once more, and finds nothing to mend."),
)  # fmt: skip


def entries() -> list[Entry]:
    """The table with what the settings say of it. Raises InvalidInput."""
    chosen = settings.settings()
    return [
        Entry(one.flow, _moments(one), chosen.schedule_time_zone, one.again)
        for one in SCHEDULE
    ]  # fmt: skip


def _moments(one: Scheduled) -> str | None:
    chosen: str | None = getattr(settings.settings(), f"schedule_{one.flow.replace('-', '_')}")
    return None if chosen == settings.OFF else chosen or one.cron
