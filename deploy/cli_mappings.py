"""`appointment360 mappings`: which header of a file fills which field, as it is remembered for the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy import local, output
from deploy.cli_options import Home, Json, Yes
from models.permissions import OPERATOR

if TYPE_CHECKING:
    from models.mappings import Listed

group = typer.Typer(help="Look at the mappings that imports remember, rename and delete them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name, or its number in the list.")]


@group.command("list")
def everything(as_json: Json = False, home: Home = None) -> None:
    """The mappings, the last used first: yours, shared ones, and what was last used for each kind of file."""
    with local.connected():
        from models import mappings

        found = mappings.listed(by=OPERATOR)
    if output.is_json():
        output.answer({"mappings": [_described(one) for one in found]})
        return
    if not found:
        output.say("No mapping is remembered yet: the first import that is committed is.")
        return
    headers = ["id", "name", "of", "fields", "columns", "imports", "used"]
    rows = [
        (one.id, one.title, _owner(one), len(one.chosen.columns), len(one.headers), one.imports, one.used_at)
        for one in found
    ]
    output.table(headers, rows, numbers={*headers} - {"name", "of"}, cut=["name"], spare=["columns", "of"])


@group.command()
def show(name: Name, as_json: Json = False, home: Home = None) -> None:
    """One mapping: which header goes where, its rules, and the imports that have it."""
    with local.connected():
        from models import mapping_contents, mapping_memory, mappings

        found = mappings.named(name, by=OPERATOR)
        used = mappings.uses(found.id, by=OPERATOR)
        rules = mapping_contents.rules(found.chosen)
    if output.is_json():
        imports = [{"import_id": one.import_id, "file_name": one.file_name, "state": one.state} for one in used]
        output.answer(_described(found) | {"headers": found.headers, "used_by": imports})
        return
    output.say(f"Mapping {found.id}: {found.title}", style="bold")
    output.table(["header", "goes to"], [(header, _place(found, header)) for header in found.headers], cut=["header"])
    output.say(mapping_memory.rules_sentence(rules))
    if used:
        output.say("Imports that have it:", style="bold")
        rows = [(one.import_id, one.at, one.file_name, one.state) for one in used]
        output.table(["id", "when", "file", "state"], rows, numbers=["id", "when"], cut=["file"])


@group.command()
def rename(
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="What it is called from now on.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Give a mapping another name, or its first one."""
    with local.connected():
        from models import mappings

        found = mappings.named(name, by=OPERATOR)
        mappings.rename(found.id, new, by=OPERATOR)
        renamed = mappings.get(found.id, by=OPERATOR)
    output.answer_or_say(_described(renamed), f"Mapping {found.id} is called “{renamed.name}” now.")


@group.command()
def delete(name: Name, yes: Yes = False, as_json: Json = False, home: Home = None) -> None:
    """Forget a mapping. Imports that have it stay as they are."""
    with local.connected():
        from models import mappings

        found = mappings.named(name, by=OPERATOR)
        if output.asks() and not yes and not output.confirmed(f"Delete the mapping “{found.title}”?"):
            output.say("Nothing was changed.")
            return
        mappings.remove(found.id, by=OPERATOR)
    output.answer_or_say({"mapping_id": found.id, "deleted": True}, f"“{found.title}” is forgotten.")


def _described(one: Listed) -> dict[str, Any]:
    from models import mapping_contents

    chosen = mapping_contents.stored(one.chosen)
    return {
        "mapping_id": one.id,
        "name": one.name,
        "file_name": one.file_name,
        "owner": _owner(one),
        "shared": one.is_shared,
        "fields": {field: header for header, field in chosen.pop("columns").items()},
        **chosen,
        "imports": one.imports,
        "used_at": one.used_at and one.used_at.isoformat(),
    }


def _owner(one: Listed) -> str:
    return one.owner or OPERATOR.name


def _place(one: Listed, header: str) -> str:
    if header in one.chosen.left_out:
        return "nowhere"
    return one.chosen.columns.get(header, "extra")
