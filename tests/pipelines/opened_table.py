"""Opens a file as an import does and reads back what the store holds, checking what must hold for every file."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.contact_files import OpenedFile, UnreadableFile, open_contact_file, read_opened


@dataclass(frozen=True)
class OpenedTable:
    opened: OpenedFile
    lines: list[int]
    rows: list[list[str]]
    unreadable: list[tuple[int, str, str]]
    fast: bool

    @property
    def records(self) -> list[list[str]]:
        """Header and rows, as a plain CSV reader would give them."""
        return [list(self.opened.headers), *self.rows] if self.opened.header_line else self.rows


def open_table(path: Path, folder: Path, sheet: str | None = None) -> OpenedTable:
    store = folder / "opened.duckdb"
    opened = open_contact_file(path, store=store, sheet=sheet)
    assert read_opened(store) == opened
    with duckdb.connect(str(store), read_only=True) as connection:
        raw = connection.execute("SELECT * FROM raw").fetchall()
        unreadable = connection.execute("SELECT line, reason, raw FROM unreadable").fetchall()
        tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    lines = [row[0] for row in raw]
    assert opened.rows == len(raw) + len(unreadable)
    assert lines == sorted(set(lines)), "every row has its own line, in file order"
    assert not set(lines) & {line for line, _, _ in unreadable}
    assert all(len(row) == len(opened.headers) + 1 for row in raw)
    assert len(set(opened.headers)) == len(opened.headers)
    assert not list(folder.glob(".opening-*")), "nothing is left beside the store"
    rows = [[cell or "" for cell in row[1:]] for row in raw]
    return OpenedTable(opened, lines, rows, unreadable, fast="cells" in tables)


def open_text(text: str | bytes, folder: Path, name: str = "contacts.csv") -> OpenedTable:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return open_table(path, folder)


def refusal(path: Path, folder: Path, sheet: str | None = None) -> str:
    """The sentence with which a file is refused; no store may be left."""
    try:
        open_table(path, folder, sheet)
    except UnreadableFile as error:
        assert not (folder / "opened.duckdb").exists()
        return error.sentence
    raise AssertionError(f"{path.name} was opened")
