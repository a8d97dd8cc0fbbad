"""How the house stands now: disks, what is kept for how long, and the last round of housekeeping."""

from collections import Counter
from dataclasses import dataclass

from models import disk_alerts
from models.house import reports, stock
from models.house.reports import Made
from models.house.retention import RULES
from models.house.shapes import DiskSpace, FolderSize, Kept, TableSize
from models.permissions import Actor, Permission, require


@dataclass(frozen=True)
class Standing:
    """How things stand now: the disks of this machine, what is wrong with any machine's, and the last round."""

    disks: list[DiskSpace]
    alerts: list[str]
    kept: list[Kept]
    latest: Made | None


def now(*, by: Actor) -> Standing:
    """Raises NotAllowed."""
    require(by, Permission.SERVER_OVERSEE)
    found = reports.latest(by=by)
    return Standing(stock.disk_space(), disk_alerts.listed(by=by), kept_now(found), found)


def kept_of(removed: dict[str, int], tables: list[TableSize], folders: list[FolderSize]) -> list[Kept]:
    """The rules of retention as they stand, with what they hold; `removed` is by the name of a setting."""
    sizes = {one.name: one.bytes for one in tables}
    places: Counter[str] = Counter()
    for one in folders:
        places[one.name.rpartition("/")[2]] += one.bytes  # below the home, and in the store that all hosts share
    kept = []
    for rule in RULES:
        held = sum(sizes.get(name, 0) for name in rule.tables) + places[rule.folder or ""]
        kept.append(
            Kept(
                what=rule.what, setting=rule.variable, days=rule.days, gives_up=rule.gives_up,
                bytes=held if (rule.tables or rule.folder) and (tables or folders) else None,
                removed=removed.get(rule.setting),
            )
        )  # fmt: skip
    return kept


def kept_now(found: Made | None) -> list[Kept]:
    """The rules of retention as the settings say them now, with what the last round measured and removed."""
    if found is None:
        return kept_of({}, [], [])
    removed = {one.setting: one.removed for one in found.report.kept}
    now = kept_of({}, found.report.tables, found.report.folders)
    return [one.model_copy(update={"removed": removed.get(one.setting)}) for one in now]
