"""How much is left of the disk, and how the database grew, from round to round."""

from dashboard import formats
from dashboard.widgets.chart_lines import line
from dashboard.widgets.charts import Chart, card, plot
from models.house.reports import Listed

GB, MB = 1_000_000_000, 1_000_000


def free_space(found: list[Listed]) -> None:
    """Of the first disk, the one of the stored files, on the machine of the last round. The oldest first."""
    rounds = [one for one in found if one.disks and one.host == found[-1].host]
    free = [one.disks[0].free for one in rounds]
    rows = [(formats.moment(one.made_at), number / GB) for one, number in zip(rounds, free, strict=True)]
    chart = Chart("Free space", ("Round", "GB"), rows, "GB, by round")
    with card(chart, about="The disk of the stored files", may_export=True):
        said = [
            f"<b>{formats.moment(one.made_at)}</b><br>{formats.size(number)} free of {formats.size(one.disks[0].total)}"
            for one, number in zip(rounds, free, strict=True)
        ]
        plot(line([one.made_at for one in rounds], [number / GB for number in free], said, chart), chart)


def sizes(found: list[Listed]) -> None:
    """The database with its tables and indexes. The oldest first."""
    files = [sum(each.bytes for each in one.folders if each.name in ("imports", "exports")) for one in found]
    rows = [
        (formats.moment(one.made_at), one.database_bytes / MB, held / MB)
        for one, held in zip(found, files, strict=True)
    ]
    chart = Chart("Size of the database", ("Round", "MB", "Stored files, MB"), rows, "MB, by round")
    with card(chart, about="All tables and indexes", may_export=True):
        said = [
            f"<b>{formats.moment(one.made_at)}</b><br>{formats.size(one.database_bytes)}<br>stored files"
            f" {formats.size(held)}"
            for one, held in zip(found, files, strict=True)
        ]
        plot(line([one.made_at for one in found], [one.database_bytes / MB for one in found], said, chart), chart)
