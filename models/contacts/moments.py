"""Moments as people name them: a day, a moment, or an import, before or after it. What they mean is in as_of.py.

One spelling everywhere: `as_of=2026-11-01` in an address, `--as-of import:7` at the command line, in receipts.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from models.database import LARGEST_ID
from models.errors import InvalidInput

NOW = "now"  # no moment of the past: contacts as they are
AFTER, BEFORE = "import:", "before:"
HOW = (
    "write a day (2026-11-01, which means its end, in UTC), a moment (2026-11-01T14:30, in UTC where it names no "
    "zone), import:7 for after an import, or before:7"
)
LONGEST = 60  # characters of what was written, in an error


@dataclass(frozen=True)
class When:
    """A day, a moment in UTC, or the number of an import; `before` it, or after it."""

    named: date | datetime | int
    before: bool = False

    @property
    def written(self) -> str:
        """As it stands in an address; `parse` reads it back."""
        match self.named:
            case datetime():
                return self.named.isoformat().replace("+00:00", "Z")
            case date():
                return self.named.isoformat()
        return f"{BEFORE if self.before else AFTER}{self.named}"

    @property
    def words(self) -> str:
        """ "as of the end of 2026-11-01 (UTC)", "after import 7"."""
        match self.named:
            case datetime():
                return f"as of {self.named:%Y-%m-%d %H:%M:%S} (UTC)"
            case date():
                return f"as of the end of {self.named.isoformat()} (UTC)"
        return f"{'before' if self.before else 'after'} import {self.named}"


def parse(text: str, name: str = "as_of") -> When:
    """What `text`, the value of `name`, means. Raises InvalidInput; whether there was such a moment shows later."""
    wanted = text.strip()
    for prefix in (AFTER, BEFORE):
        number = wanted.removeprefix(prefix)
        if number != wanted:
            if number.isascii() and number.isdecimal() and 0 < int(number[:12]) <= LARGEST_ID:
                return When(int(number[:12]), before=prefix == BEFORE)
            raise InvalidInput(
                f"{name}={wanted[:LONGEST]}: “{number[:LONGEST]}” is no number of an import: {HOW}.", field=name
            )
    try:
        if len(wanted) == len("2026-11-01"):
            return When(date.fromisoformat(wanted))
        moment = datetime.fromisoformat(wanted)
        return When(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{name}={wanted[:LONGEST]}: “{wanted[:LONGEST]}” is no moment: {HOW}.", field=name
        ) from error
