"""`appointment360 duplicates`: contacts that are perhaps the same, found, merged, kept apart, taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy import local, output
from deploy.cli_options import Home, Json, Yes
from models.permissions import OPERATOR

if TYPE_CHECKING:
    from models.contacts.merge_choice import Proposal
    from models.duplicates.pairs import Pair

group = typer.Typer(help="Contacts that are perhaps the same: find, merge, keep apart.", no_args_is_help=True)
One = Annotated[int, typer.Argument(metavar="ID", help="A contact's number.")]
Other = Annotated[int, typer.Argument(metavar="OTHER", help="The other contact's number.")]
Ids = Annotated[list[int], typer.Argument(metavar="ID ID ...", help="Numbers of 2 to 10 contacts.")]
STATES = "open, later, not-same or merged."


@group.callback()
def everything() -> None:
    """Contacts that are perhaps the same: find, merge, keep apart."""


@group.command()
def find(as_json: Json = False, home: Home = None) -> None:
    """Look through all contacts; with many of them that takes a while.

    The pairs replace those found before. What was merged or kept apart stays.
    """
    with local.connected():
        from models.duplicates import runs
        from pipelines import find_duplicates

        with output.progress() as progress:
            run = find_duplicates.find(by=OPERATOR, say=lambda step: progress(step.lower(), 0, None))
    found = f"{output.counted(run.pairs, 'possible pair')} among {output.counted(run.contacts, 'contact')}"
    output.answer_or_say(runs.numbers(run), f"{found} ({run.compared:,} compared, {run.seconds:.0f} s).")
    if run.pairs:
        output.note("To look at them: appointment360 duplicates list")


@group.command("list")
def listed(
    state: Annotated[str, typer.Option(help=STATES)] = "open",
    least: Annotated[float, typer.Option("--weight", help="Of at least so many bits.")] = 0.0,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many of the surest.")] = 50,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List pairs, the surest first, or the merges that were made."""
    if state not in ("open", "later", "not-same", "merged"):
        raise typer.BadParameter(f"“{state}” is no state of a pair. States are: {STATES}")
    with local.connected():
        if state == "merged":
            _list_merges(limit)
            return
        from models.duplicates import pairs

        wanted = pairs.Wanted(_decision(state), least)
        total, found = pairs.count(wanted, by=OPERATOR), pairs.page(wanted, size=limit, by=OPERATOR)
    if output.is_json():
        output.answer({"pairs": [_described(pair) for pair in found], "total": total})
        return
    rows = [(_bits(one.weight), one.left_id, one.left_label, one.right_id, one.right_label) for one in found]
    output.table(["weight", "contact", "name", "and", "its name"], rows, numbers=["weight", "contact", "and"])
    output.say(f"{output.counted(total, 'pair')}." if total else "None.")
    if found:
        both = f"{found[0].left_id} {found[0].right_id}"
        output.note(f"Why two are the same: appointment360 duplicates show {both}")
        output.note(f"To make them one: appointment360 duplicates merge {both}")


@group.command()
def show(one: One, other: Other, as_json: Json = False, home: Home = None) -> None:
    """Show a pair: why the two are perhaps the same, and what a merge would do."""
    with local.connected():
        from models.contacts import merging
        from models.duplicates import pairs

        pair, made = pairs.get(one, other, by=OPERATOR), merging.proposal([one, other], by=OPERATOR)
    if output.is_json():
        output.answer({**_described(pair), "survivor": made.survivor_id, "choices": made.choices})
        return
    if pair.reasons:
        rows = [(one.title, one.found, f"{one.bits:+.1f}") for one in pair.reasons]
        output.table(["compared", "found", "bits"], rows, numbers=["bits"])
        output.say(f"Weight {_bits(pair.weight)}: above 0 they are rather the same.")
    _show_proposal(made)


@group.command()
def merge(
    contacts: Ids,
    into: Annotated[int | None, typer.Option(metavar="ID", help="The one that stays.", show_default="fullest")] = None,
    take: Annotated[
        list[str] | None, typer.Option(metavar="FIELD=ID", help="Whose value is taken; FIELD=all unites. Repeatable.")
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make one contact of several. `unmerge` takes it apart again, any time later."""
    choices = _choices(take or [])
    with local.connected():
        from models.contacts import merging
        from models.contacts.merge_choice import completed

        made = merging.proposal(contacts, survivor_id=into, by=OPERATOR)
        completed(made.records, made.survivor_id, choices)  # before anything is asked
        if output.asks() and not yes:
            _show_proposal(made)
            if not output.confirmed(f"Merge {output.counted(len(made.records), 'contact')} into {made.survivor_id}?"):
                output.say("Nothing was changed.")
                return
        versions = {record.id: record.version for record in made.records}
        merge_id = merging.merge(made.survivor_id, versions, choices, by=OPERATOR)
    gone = sorted(set(versions) - {made.survivor_id})
    told = f"Merge {merge_id}: contact {made.survivor_id} stays. Back: appointment360 duplicates unmerge {merge_id}"
    output.answer_or_say({"merge_id": merge_id, "contact_id": made.survivor_id, "merged": gone}, told)


@group.command("not-same")
def not_same(
    one: One,
    other: Other,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take that back: they may be found again.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Remember that two contacts are not the same: no search finds them again."""
    with local.connected():
        from models.duplicates import pairs

        if withdraw:
            pairs.withdraw(one, other, by=OPERATOR)
        else:
            pairs.decide(one, other, pairs.Decision.NOT_SAME, by=OPERATOR)
    state = "open" if withdraw else "not the same"
    output.answer_or_say({"contacts": [one, other], "state": state}, f"Contacts {one} and {other}: {state}.")


@group.command()
def unmerge(
    merge_id: Annotated[int, typer.Argument(metavar="MERGE", help="The merge's number.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Take a merge apart: the others come back, with their numbers and values.

    What was changed since in the one that stayed is kept.
    """
    with local.connected():
        from models.contacts import merging

        done = merging.unmerge(merge_id, by=OPERATOR)
    kept = f" Changed since, and kept: {', '.join(done.kept)}." if done.kept else ""
    output.answer_or_say(
        {"merge_id": merge_id, "contact_id": done.survivor_id, "restored": done.restored, "kept": done.kept},
        f"{output.counted(len(done.restored), 'contact')} came back.{kept}",
    )


def _list_merges(limit: int) -> None:
    from models.contacts import merging

    found = merging.made(size=limit, by=OPERATOR)
    if output.is_json():
        listed = [
            {"merge_id": one.id, "contact_id": one.survivor_id, "merged": one.others, "at": one.at.isoformat(),
             "by": one.by_name, "undone": one.undone_at is not None}
            for one in found
        ]  # fmt: skip
        output.answer({"merges": listed})
        return
    rows = [
        (one.id, one.label or "gone", one.survivor_id, list(one.others), one.at, one.by_name, _stands(one.undone_at))
        for one in found
    ]
    headers = ["merge", "name", "contact", "merged", "when", "by", "stands"]
    output.table(headers, rows, numbers=["merge", "contact", "when"], cut=["name"], spare=["by"])


def _stands(undone_at: object) -> str:
    return "no" if undone_at else "yes"


def _show_proposal(made: Proposal) -> None:
    from models.contacts.editing import as_text
    from models.contacts.merge_choice import ALL
    from models.contacts.table import FIELDS

    headers = ["field", *(f"{record.id}{' stays' if record.id == made.survivor_id else ''}" for record in made.records)]
    rows = []
    for name, chosen in made.choices.items():
        values = made.values(name)
        if any(value is not None for value in values.values()):
            marks = {one: "* " if chosen in (one, ALL) and value is not None else "" for one, value in values.items()}
            rows.append([FIELDS[name].title, *(marks[one] + as_text(name, values[one]) for one in values)])
    output.table(headers, rows)
    output.say("* is taken; where several are marked they are united.")


def _decision(state: str) -> Any:
    from models.duplicates.tables import Decision

    return {"open": None, "later": Decision.LATER, "not-same": Decision.NOT_SAME}[state]


def _choices(given: list[str]) -> dict[str, int]:
    chosen = {}
    for one in given:
        name, equals, source = one.partition("=")
        if not equals or not (source == "all" or (source.isascii() and source.isdecimal())):
            raise typer.BadParameter(f"“{one}” is no choice: write FIELD=ID, for example email=17, or tags=all.")
        chosen[name.strip()] = 0 if source == "all" else int(source)
    return chosen


def _described(pair: Pair) -> dict[str, Any]:
    return {
        "contacts": list(pair.ids),
        "names": [pair.left_label, pair.right_label],
        "weight": None if pair.weight is None else round(pair.weight, 2),
        "probability": pair.probability,
        "state": pair.decision or "open",
        "changed": list(pair.changed),
        "reasons": [{"of": one.of, "found": one.found, "bits": one.bits} for one in pair.reasons],
    }


def _bits(weight: float | None) -> str:
    return "–" if weight is None else f"{weight:.1f}"
