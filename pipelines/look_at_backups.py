"""Looking whether the archives of backups still lie in their places, whole by their size, and what the bucket's own
rules delete: a drill finds more, and comes seldom.

Reads a listing of each place: of a folder each minute, of S3 once an hour. Writes what is missing. A second run sees
the same.
"""

from models import backup_places
from models.backup_places import Expected
from models.errors import AppError
from models.file_store import Folder, place
from pipelines.backup_manifest import MANIFEST, archive_name


def look() -> None:
    """Look at the places whose time has come; one that cannot be read is noted."""
    for address, expected in backup_places.due().items():
        try:
            there, days = _seen(address, expected)
        except AppError as error:
            backup_places.not_seen(address, error.sentence)
            continue
        backup_places.seen(address, there, expires_after=days)


def _seen(address: str, expected: list[Expected]) -> tuple[dict[int, bool], int | None]:
    """Of each backup whether it is there; and after how many days the bucket deletes what lies there."""
    there = place(address)
    sizes = {one.name: one.size for one in there.files()}
    found = {
        one.id: sizes.get(archive_name(one.name, one.key)) == one.size and one.name + MANIFEST in sizes
        for one in expected
    }
    if isinstance(there, Folder):
        return found, None
    from models.s3_store import Prefix

    assert isinstance(there, Prefix)
    return found, there.expires_after()
