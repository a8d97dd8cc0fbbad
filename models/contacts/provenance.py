"""Where each value of a contact comes from, and its older ones: one walk over what happened to the contact."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.contacts.history import Change, What


@dataclass(frozen=True)
class Origin:
    """A value, and the change that made it so; None where that lies before the oldest change that is known.

    `is_put_back`: a person gave the field the value again that the change before had replaced.
    """

    value: Any
    change: Change | None
    is_put_back: bool = False


@dataclass(frozen=True)
class Provenance:
    """`origins`: field -> its values, the present one first; nothing of a field that never held one.

    `begins` is the moment of the oldest change that is known, where older ones were left out; None where none was.
    """

    origins: dict[str, tuple[Origin, ...]]
    begins: datetime | None


def of_changes(changes: Sequence[Change]) -> Provenance:
    """`changes` as history.of_contact gives them, the newest first, with what its reader may see."""
    found: dict[str, list[Origin]] = {}
    for change in reversed(changes):
        for one in change.fields:
            known = found.setdefault(one.name, [])
            if not known and one.old is not None:
                known.append(Origin(one.old, None))
            by_hand = change.what is What.CHANGED and change.import_id is None and not change.merged
            again = by_hand and len(known) > 1 and known[-2].value == one.new
            known.append(Origin(one.new, change, is_put_back=again))
    cut = bool(changes) and changes[-1].what is not What.CREATED
    return Provenance({name: tuple(reversed(known)) for name, known in found.items()}, changes[-1].at if cut else None)
