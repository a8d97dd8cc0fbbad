"""Where scheduled exports may put their files: below the folders and s3:// prefixes that the setting
APPOINTMENT360_EXPORT_ROOTS names, with commas between.

Whoever runs the machine decides that, not a person on a screen: an export must not write over what else is there.
"""

from pathlib import Path

from models import file_places
from models.errors import InvalidInput, NotAllowed, about
from models.settings import settings

VARIABLE = "APPOINTMENT360_EXPORT_ROOTS"


def roots() -> list[str]:
    """The allowed places. Raises InvalidInput where the setting holds what is none."""
    return [file_places.checked(one) for one in settings().export_roots.split(",") if one.strip()]


def checked(address: str) -> str:
    """The address as it is kept. Raises InvalidInput, NotAllowed (it is not below a root)."""
    with about("place"):
        kept = file_places.checked(address)
    allowed = roots()
    if not allowed:
        raise NotAllowed(
            "Scheduled exports have no place to go to yet: whoever runs the machine names folders or s3:// prefixes in "
            f"{VARIABLE}."
        )
    if not any(_is_below(kept, root) for root in allowed):
        raise NotAllowed(
            f"Exports may not be put into {kept}, only into or below: {', '.join(allowed)}.", field="place"
        )
    return kept


def _is_below(address: str, root: str) -> bool:
    """Of folders where they really are: a link could lead out of the root."""
    if file_places.is_s3(address) or file_places.is_s3(root):
        return address == root or address.startswith(f"{root}/")
    return Path(address).resolve().is_relative_to(Path(root).resolve())


def require_folder(address: str) -> None:
    """Raises InvalidInput where a folder is not there: whoever sets a schedule up sees it at once."""
    if not file_places.is_s3(address) and not Path(address).is_dir():
        raise InvalidInput(f"There is no folder {address}: make it, or name another one.", field="place")
