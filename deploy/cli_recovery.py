"""`appointment360 restore --at TIME --into FOLDER`: the embedded server as it was at a moment."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import typer

from deploy import local, output

LATEST = "latest"


def restore_to(at: str, into: Path, address: str | None, key: Path | None) -> None:
    """Without an address the place is this installation's, and what its server just wrote is archived before."""
    moment = None if at == LATEST else _moment(at)
    if address is None:
        _archive_now()
    local.prepared_home()
    local.forget_other_servers()
    from deploy import recovery
    from models import recovery as recoveries

    with output.progress() as progress:
        found = recovery.run(
            moment,
            f"{address.rstrip('/')}/{recoveries.SUBPLACE}" if address else recoveries.place(),
            into.expanduser().absolute(),
            key_file=key,
            say=lambda step: progress(recovery.STEPS[step], 0, None),
        )
    last = found.last_change.isoformat() if found.last_change else None
    answer = {"into": str(found.home), "at": moment.isoformat() if moment else None, "base": found.base,
              "last_change": last, "pieces": found.pieces, "tables": found.tables, "rows": found.rows,
              "contacts": found.contacts, "seconds": round(found.seconds, 1)}  # fmt: skip
    what = f"{output.counted(found.tables, 'table')}, {output.counted(found.rows, 'row')}"
    when = _shown(moment) if moment else "the end of its log"
    output.answer_or_say(answer, f"The server as of {when} is in {found.home}: {what}.")
    output.note(
        f"The last change in it is of {_shown(found.last_change)}."
        if found.last_change
        else "Nothing was changed between its base and that moment."
    )
    output.note(
        f"{output.counted(found.contacts, 'contact')}; every page of it is whole. It took {found.seconds:.1f} s."
    )
    output.note(f"To look at it: appointment360 count --home {found.home}")
    output.note(f"To go on with it: appointment360 up --home {found.home}")
    output.note("Uploads, exports and the backups' key are not in it: copy them from the old home, or a backup.")


def _archive_now() -> None:
    from models.errors import InvalidInput, Unavailable

    if local.database_url():
        raise InvalidInput(
            "The server of DATABASE_URL is not this program's: whoever runs it restores it to a moment, as "
            "deploy/RECOVERY.md says. Bases of an embedded one are restored with --from."
        )
    with local.connected():
        from models import recovery as recoveries
        from pipelines import archive_wal

        if not recoveries.wanted():
            raise Unavailable(
                "The log of this server is not archived: APPOINTMENT360_POINT_IN_TIME=true lets it be from the next "
                "start on, and no earlier moment can be restored. Another place's archive is named with --from."
            )
        archive_wal.ship_all()


def _moment(given: str) -> datetime:
    from zoneinfo import ZoneInfo

    from models.settings import settings

    try:
        found = datetime.fromisoformat(given.strip())
    except ValueError as error:
        raise typer.BadParameter(
            f"“{given}” is no time: write it as 2026-11-27T14:30:00+01:00, or “latest”."
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(settings().schedule_time_zone))


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname()}"
