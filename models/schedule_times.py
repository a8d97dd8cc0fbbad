"""When a schedule is due: five fields of cron in a time zone, or a word for the common ones."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from models.errors import InvalidInput

WORDS = {"hour": "0 * * * *", "day": "0 6 * * *", "weekday": "0 6 * * 1-5", "week": "0 6 * * 1", "month": "0 6 1 * *"}
SOONEST = timedelta(minutes=10)  # between two moments
LOOKED_AT = 100  # moments


def parsed(text: str, time_zone: str, *, soonest: timedelta = SOONEST, field: str = "every") -> str:
    """The cron that a word or a cron means, where it is not due more often than `soonest`. Raises InvalidInput."""
    cron = WORDS.get(text.strip().lower(), " ".join(text.split()))
    zone(time_zone)
    if len(cron.split()) != 5:
        raise InvalidInput(
            f"“{text}” is no schedule: write {', '.join(WORDS)}, or five fields of cron, as in 30 7 * * 1-5.",
            field=field,
        )
    start = datetime(2026, 1, 1, tzinfo=UTC)  # any: it is only looked how far the moments are apart
    try:
        moments = list(islice(CronSim(cron, start), LOOKED_AT))
    except CronSimError as error:
        raise InvalidInput(f"“{text}” is no schedule: {error}. An example is 30 7 * * 1-5.", field=field) from error
    if not moments:
        raise InvalidInput(f"“{text}” never comes: there is no such day.", field=field)
    if any(later - earlier < soonest for earlier, later in pairwise(moments)):
        raise InvalidInput(f"“{text}” is too often: every {soonest.seconds // 60} minutes at most.", field=field)
    return cron


def sentence(cron: str, time_zone: str) -> str:
    """“At 06:00 every day, Europe/Berlin”."""
    return f"{CronSim(cron, datetime.now(UTC)).explain()}, {time_zone}"


def next_after(cron: str, time_zone: str, moment: datetime) -> datetime:
    """The first moment of the schedule that is later."""
    return next(CronSim(cron, moment.astimezone(zone(time_zone)))).astimezone(UTC)


def following(cron: str, time_zone: str, moment: datetime, number: int) -> list[datetime]:
    """The first moments of the schedule that are later, so many."""
    return [one.astimezone(UTC) for one in islice(CronSim(cron, moment.astimezone(zone(time_zone))), number)]


def last_until(cron: str, time_zone: str, due: datetime, moment: datetime) -> datetime:
    """Of the schedule's moments from `due` on the last one that is not later than `moment`: what was missed in between
    is made up once."""
    local = (moment + timedelta(seconds=1)).astimezone(zone(time_zone)).replace(microsecond=0)
    last = next(CronSim(cron, local, reverse=True), due)
    return max(due, last.astimezone(UTC))


def zone(name: str) -> ZoneInfo:
    """Raises InvalidInput."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(
            f"“{name[:60]}” is no time zone: write one like Europe/Berlin, or UTC.", field="time_zone"
        ) from error
