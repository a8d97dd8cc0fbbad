"""JSON lines, and a JSON array of objects: the keys of all objects become the columns."""

import json
from collections.abc import Iterator
from contextlib import closing

from models.import_progress import Step
from pipelines.contact_files.csv_lines import LONGEST_LINE, Lines
from pipelines.contact_files.encoding import Text
from pipelines.contact_files.headers import MOST_COLUMNS, unique_names
from pipelines.contact_files.json_array import Item, item_of, read_array
from pipelines.contact_files.nuls import Nuls
from pipelines.contact_files.opened_file import UnreadableFile
from pipelines.contact_files.store import Store
from pipelines.watched import begin


def read_json(store: Store, text: Text, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read the file into the store. Returns the headers, in order of first appearance, and notes on what was mended.

    It is read twice, for the keys and for the values, since the last line may bring a new key.
    Raises UnreadableFile when nothing in it is a JSON object, and where an array cannot be parsed on.
    """
    keys = _keys(text, name)
    nuls = Nuls(text.scan.nuls)
    store.create_raw(len(keys))
    for item in _items(text, nuls, name, Step.OPEN):
        if item.value is None:
            store.add_unreadable(item.line, item.reason, item.raw)
        else:
            store.add(item.line, [as_text(item.value.get(key)) for key in keys], len(item.raw))
    store.finish_raw()
    return unique_names([as_text(key) for key in keys]), nuls.notes


def _keys(text: Text, name: str) -> list[str]:
    keys: dict[str, None] = {}
    for item in _items(text, Nuls(), name, Step.SCAN):
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


def _items(text: Text, nuls: Nuls, name: str, step: Step) -> Iterator[Item]:
    with closing(Lines.of_file(text.path, has_nuls=text.scan.nuls > 0)) as lines:
        begin(step, text.path.stat().st_size, look=lines.place)
        first = next((line for line in iter(lines.next, None) if line.strip()), "")
        lines.back([first])
        yield from read_array(lines, nuls, name) if first.lstrip().startswith("[") else _of_lines(lines, nuls)


def _of_lines(lines: Lines, nuls: Nuls) -> Iterator[Item]:
    for line in iter(lines.next, None):
        if line.strip():
            yield _parsed(lines.number, line.strip(), nuls)


def _parsed(number: int, raw: str, nuls: Nuls) -> Item:
    if len(raw) > LONGEST_LINE:
        return Item(number, None, f"Line {number} is longer than {LONGEST_LINE:,} characters.", raw)
    raw = nuls.without_escaped(raw)
    try:
        return item_of(number, json.loads(raw), raw)
    except (ValueError, RecursionError) as error:
        return Item(number, None, f"Line {number} is not valid JSON: {error}.", raw)
