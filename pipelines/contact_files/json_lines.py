"""JSON lines, and a JSON array of objects: the keys of all objects become the columns."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from pipelines.contact_files.csv_lines import LONGEST_LINE, Lines
from pipelines.contact_files.encoding import Text
from pipelines.contact_files.headers import MOST_COLUMNS
from pipelines.contact_files.opened_file import UnreadableFile
from pipelines.contact_files.store import Store


class Item(NamedTuple):
    """One object of the file with its first line, or the reason why it is none."""

    line: int
    value: dict[str, object] | None
    reason: str
    raw: str


def read_json(store: Store, text: Text, name: str) -> tuple[str, ...]:
    """Read the file into the store. Returns the headers, in order of first appearance.

    It is read twice, for the keys and for the values, since the last line may bring a new key.
    Raises UnreadableFile when nothing in it is a JSON object.
    """
    keys = _keys(text, name)
    store.create_raw(len(keys))
    for item in _items(text):
        if item.value is None:
            store.add_unreadable(item.line, item.reason, item.raw)
        else:
            store.add(item.line, [as_text(item.value.get(key)) for key in keys], len(item.raw))
    store.finish_raw()
    return tuple(keys)


def _keys(text: Text, name: str) -> list[str]:
    keys: dict[str, None] = {}
    for item in _items(text):
        keys.update(dict.fromkeys(item.value or ()))
        if len(keys) > MOST_COLUMNS:
            raise UnreadableFile(f"{name} has more than {MOST_COLUMNS:,} different keys: is it a list of contacts?")
    if not keys:
        raise UnreadableFile(f'{name} holds no JSON objects: each line should be one, like {{"Email": "a@b.org"}}.')
    return list(keys)


def as_text(value: object) -> str:
    """A JSON value as cell text; nested ones stay JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # "\ud83d" alone is valid JSON and no character.
    return text.encode("utf-8", "replace").decode("utf-8")


def _items(text: Text) -> Iterator[Item]:
    with closing(Lines.of_file(text.path, has_nuls=text.scan.nuls > 0)) as lines:
        first = next((line for line in iter(lines.next, None) if line.strip()), "")
        lines.back([first])
        yield from _of_array(lines) if first.lstrip().startswith("[") else _of_lines(lines)


def _of_lines(lines: Lines) -> Iterator[Item]:
    for line in iter(lines.next, None):
        if line.strip():
            yield _parsed(lines.number, line.strip())


def _parsed(number: int, raw: str) -> Item:
    if len(raw) > LONGEST_LINE:
        return Item(number, None, f"Line {number} is longer than {LONGEST_LINE:,} characters.", raw)
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        return Item(number, None, f"Line {number} is not valid JSON: {error}.", raw)
    if not isinstance(value, dict):
        return Item(number, None, f"Line {number} is JSON, but not an object with keys and values.", raw)
    return Item(number, value, "", raw)


def _of_array(lines: Lines) -> Iterator[Item]:
    """The elements of an array that may be laid out over any number of lines, without holding all of it."""
    decoder, buffer, start = json.JSONDecoder(), "", 1
    opened = False
    for line in iter(lines.next, None):
        if not buffer.strip(" \r\n\t,]"):
            buffer, start = "", lines.number
        buffer += line if opened else line.lstrip().removeprefix("[")
        opened = True
        while (rest := buffer.lstrip(" \r\n\t,")) and not rest.startswith("]"):
            start += buffer[: len(buffer) - len(rest)].count("\n")
            try:
                value, end = decoder.raw_decode(rest)
            except (ValueError, RecursionError):
                buffer = rest
                break
            raw, buffer = rest[:end], rest[end:]
            reason = "" if isinstance(value, dict) else f"Line {start} is JSON, but not an object with keys and values."
            yield Item(start, value if isinstance(value, dict) else None, reason, raw)
            start += raw.count("\n")
        else:
            buffer = ""
        if len(buffer) > LONGEST_LINE:
            yield Item(start, None, f"From line {start} on, the file is not valid JSON.", buffer)
            return
    if buffer.strip(" \r\n\t,]"):
        yield Item(start, None, f"From line {start} on, the file is not valid JSON.", buffer)
