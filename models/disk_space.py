"""Whether there is room on a disk: whatever writes much asks here first, so that a disk is never filled to its end.

What is written beyond that meets the disk's own error, which its writer names: another program may fill a disk at any
moment.
"""

import shutil
from pathlib import Path

from models.errors import Unavailable
from models.settings import settings


class NoRoom(Unavailable):
    """The disk is full, or would be: what is there stays, and the work goes on once there is room."""


def free(folder: Path) -> int:
    """Bytes left for us on the disk of `folder`, which need not be there yet. Raises OSError."""
    return shutil.disk_usage(there(folder)).free


def there(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    return next((one for one in (folder, *folder.parents) if one.exists()), folder)


def has_room(folder: Path, needed: int) -> bool:
    """Whether `needed` bytes leave the reserve of APPOINTMENT360_DISK_RESERVE free. Raises OSError."""
    return free(folder) >= needed + settings().disk_reserve


def require(folder: Path, needed: int, what: str, *, then: str = "try again") -> None:
    """Before anything is written: `what` needs so many bytes on the disk of `folder`. Raises NoRoom, OSError."""
    left, reserve = free(folder), int(settings().disk_reserve)
    if left >= needed + reserve:
        return
    kept = f" beside the {shown(reserve)} that are to stay free" if reserve else ""
    raise NoRoom(
        f"The disk of {folder} has {shown(left)} left, and {what} needs {shown(needed)}{kept}: make room there, or let "
        f"an administrator do so, then {then}."
    )


def shown(number: int) -> str:
    """Bytes for a sentence: “1.5 GB”, “20 MB”."""
    if number >= 1_000_000_000:
        return f"{number / 1e9:,.1f} GB"
    if number < 100_000:
        return "less than 0.1 MB"
    return f"{number / 1e6:,.1f} MB" if number < 10_000_000 else f"{number / 1e6:,.0f} MB"
