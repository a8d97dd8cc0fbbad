"""NUL characters: PostgreSQL stores none in a text, so they are taken out of every cell, and counted."""

import re

# Either an escaped NUL, or another escape, which is kept whole: in `\\u0000` the backslash is escaped, not a NUL.
ESCAPES = re.compile(r"\\u0000|(\\.)")


class Nuls:
    """Takes NULs out of the texts of one file; `removed` says how many there were."""

    def __init__(self, removed: int = 0) -> None:
        self.removed = removed

    def without_escaped(self, json_text: str) -> str:
        """JSON text without the NULs that are written as escapes in its strings."""
        if "\\u0000" not in json_text:
            return json_text
        cleaned = ESCAPES.sub(r"\1", json_text)
        self.removed += (len(json_text) - len(cleaned)) // len("\\u0000")
        return cleaned

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person is told of it."""
        return (f"{self.removed:,} NUL characters were removed.",) if self.removed else ()
