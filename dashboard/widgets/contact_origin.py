"""Where a contact's value comes from: a small sign beside it that opens, in place, its source and its older values."""

from html import escape

from dashboard import formats, places
from dashboard.widgets import columns
from dashboard.widgets.contact_fields import shown
from models.contacts.history import Change, What
from models.contacts.provenance import Origin, Provenance
from models.contacts.table import FIELDS
from models.permissions import OPERATOR, Actor, Permission

MOST = 6  # values of one field
LONGEST = 120  # characters of an older value


def origins(provenance: Provenance, *, by: Actor) -> dict[str, str]:
    """Field -> HTML: a `details`, which keys and screen readers open as they do any; one is open at a time."""
    return {name: _drawn(name, told, provenance, by) for name, told in provenance.origins.items()}


def _drawn(name: str, told: tuple[Origin, ...], provenance: Provenance, by: Actor) -> str:
    label = escape(columns.label(name), quote=True)
    older = "".join(f"<li>{_value(name, one)} {_source(one, provenance, by)}</li>" for one in told[1:MOST])
    if len(told) > MOST:
        older += f"<li>{formats.counted(len(told) - MOST, 'older value')}: see the history</li>"
    before = f"<p>Before</p><ul>{older}</ul>" if older else ""
    return (
        f'<dd class="origin"><details name="origin"><summary aria-label="Where it comes from: {label}"></summary>'
        f'<div><p class="now">{_source(told[0], provenance, by)}</p>{before}</div></details></dd>'
    )


def _value(name: str, origin: Origin) -> str:
    if origin.value is None:
        return '<span class="none">nothing</span>'
    text = shown(FIELDS[name], origin.value)
    return f'<bdi class="chip">{escape(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")}</bdi>'


def _source(origin: Origin, provenance: Provenance, by: Actor) -> str:
    change = origin.change
    if change is None:
        return f'<span class="none">older than what is known here, from {formats.moment(provenance.begins)}</span>'
    parts = [_words(origin, change), formats.moment(change.at), _import(change, by)]
    return " · ".join(part for part in parts if part)


def _words(origin: Origin, change: Change) -> str:
    """HTML of what made the value so, and who."""
    who, many = escape(change.by_name), " with other contacts" if change.with_others else ""
    file = escape(change.file_name or f"import {change.import_id}")
    match change.what:
        case What.TAKEN_BACK:
            return f"Put back as {file} was undone, by {who}"
        case What.BROUGHT_BACK:
            return f"From {file} again, as its undo was taken back, by {who}"
        case What.RESTORED if change.import_id is not None:
            return f"Brought back as the undo of {file} was taken back, by {who}"
        case What.RESTORED:
            return f"Restored{many}, by {who}"
    if change.import_id is not None:
        line = f", line {formats.number(change.line)}" if change.line is not None else ""
        return f"<b>{file}</b>{line}, by {who}"
    if change.merged:
        return f"From the merge with {change.merge}, by {who}"
    hand = "" if many or change.by_name == OPERATOR.name else " by hand"
    if origin.is_put_back:
        return f"Put back{many or hand}, by {who}"
    deed = "Entered" if change.what is What.CREATED else "Emptied" if origin.value is None else "Changed"
    return f"{deed}{many or hand}, by {who}"


def _import(change: Change, by: Actor) -> str:
    if change.import_id is None or not by.may(Permission.IMPORTS_RUN):
        return ""
    return f'<a href="{places.path("imports")}?id={change.import_id}" target="_self">import {change.import_id}</a>'
