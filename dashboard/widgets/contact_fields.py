"""A contact's fields by group, to be read: one element for each group, whose values are text whatever they hold."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

import streamlit as st

from dashboard import formats
from dashboard.widgets import columns
from dashboard.widgets.page import card, css_colour
from models.contacts.records import Record
from models.contacts.table import FIELDS
from models.fields import Field, Group, Kind

STYLE = Template((Path(__file__).parents[1] / "static" / "contact.css").read_text())
COLUMNS = (
    (Group.PERSON, Group.REACH, Group.LOCATION, Group.LINKS, Group.EXTERNAL),
    (Group.COMPANY, Group.FINANCE, Group.COMPANY_LOCATION, Group.SIGNALS, Group.OURS),
)
TITLES = {Group.REACH: "E-mail and phone", Group.COMPANY: "Company", Group.EXTERNAL: "Numbers elsewhere"}
NONE = '<span class="none">–</span>'
LONG = 120  # characters; longer text keeps its line ends, and scrolls


def style() -> None:
    """Once on a page that shows fields or changes of contacts."""
    colours = {
        "gray": "grayTextColor", "link": "linkColor", "chip": "grayBackgroundColor", "chiptext": "textColor",
        "panel": "secondaryBackgroundColor",
        **{f"{name}{part}": f"{name}{'Text' if part else 'Background'}Color"
           for name in ("green", "yellow", "red", "blue") for part in ("", "text")},
    }  # fmt: skip
    st.html(f"<style>{STYLE.substitute({name: css_colour(colour) for name, colour in colours.items()})}</style>")


def named(group: Group) -> str:
    return TITLES.get(group, group.value.capitalize())


def of_group(group: Group, names: Iterator[str] | dict[str, Any]) -> list[str]:
    """Those of `names`, fields, that belong to the group."""
    return [name for name in names if FIELDS[name].group is group]


@contextmanager
def group_card(group: Group, values: dict[str, Any]) -> Iterator[list[str]]:
    """The group's card with its count; yields the names of its fields among `values`."""
    names = of_group(group, values)
    filled = sum(values[name] not in (None, "") for name in names)
    with card(named(group), f"{filled} of {len(names)}"):
        yield names


def read_fields(record: Record, origins: Mapping[str, str]) -> None:
    """All that the record holds, in two columns that become one where it is narrow; beside a field its entry of
    `origins`, the HTML of contact_origin."""
    pair = st.grid(2, min_column_width=260, gap="small")
    for place, groups in enumerate(COLUMNS):
        with pair.cell():
            for group in groups:
                if of_group(group, record.values):
                    with group_card(group, record.values) as names:
                        entries = [
                            (columns.label(name), _drawn(record, name) + origins.get(name, "")) for name in names
                        ]
                        st.html(_list(entries))
            if place == 1:
                _beside(record)


def _beside(record: Record) -> None:
    """What no field took, and what the system keeps."""
    if record.extra:
        with card("From files", formats.counted(len(record.extra), "value")):
            st.html(_list([(escape(key), _text(_told(value))) for key, value in record.extra.items()]))
    with card("Record"):
        source = "entered by hand" if record.import_id is None else f"{record.file_name or 'a file'}"
        if record.import_line is not None:
            source += f", line {formats.number(record.import_line)}"
        known = {"Number": str(record.id), "Added": formats.moment(record.created_at), "Added by": record.created_by,
                 "Changed": formats.moment(record.updated_at), "Last source": source}  # fmt: skip
        st.html(_list([(label, _text(value)) for label, value in known.items()]))


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _list(entries: list[tuple[str, str]]) -> str:
    """`entries` are HTML."""
    rows = "".join(f"<div><dt>{label}</dt>{value}</div>" for label, value in entries)
    return f'<dl class="fields">{rows}</dl>'


def _text(value: str) -> str:
    # dir="auto": Hebrew and Arabic begin at the right, whatever stands around them.
    if len(value) > LONG or "\n" in value:
        return f'<dd dir="auto" class="long" tabindex="0">{escape(value)}</dd>'
    return f'<dd dir="auto">{escape(value)}</dd>'


def _drawn(record: Record, name: str) -> str:
    field, value = FIELDS[name], record.values[name]
    if value is None:
        return f"<dd>{NONE}</dd>"
    match field.kind:
        case Kind.EMAIL:
            return _link(f"mailto:{quote(value, safe='@')}", value)
        case Kind.PHONE:
            return _link(f"tel:{quote(value, safe='+')}", value)
        case Kind.URL if value.startswith(("https://", "http://")):
            return _link(value, value.partition("://")[2].removeprefix("www."))
        case Kind.LIST:
            return f"<dd>{''.join(_chip(one) for one in value)}</dd>"
    if name == "email_status":
        return f"<dd>{_chip(value, columns.STATUS_COLOURS.get(value, ''))}</dd>"
    if name == "owner" and record.owner_name:
        return f'<dd dir="auto" title="{escape(value)}">{escape(record.owner_name)}</dd>'
    return _text(shown(field, value))


def shown(field: Field, value: Any) -> str:
    """A value in words, as the person's locale writes it; “–” for none."""
    match value:
        case None:
            return formats.MISSING
        case bool():
            return "Yes" if value else "No"
        case list():
            return ", ".join(value)
        case date():
            return formats.day(value)
    if field.kind is Kind.MONEY:
        return f"${formats.number(value, digits=2)}"
    return formats.number(value) if field.kind is Kind.WHOLE else str(value)


def remark(text: str, tone: str = "") -> None:
    """A small line below a control; the tone is "wrong" or nothing."""
    st.html(f'<div dir="auto" class="remark {tone}">{escape(text)}</div>')


def _link(address: str, value: str) -> str:
    broken = escape(value).replace("@", "@<wbr>").replace("/", "/<wbr>")  # where a long one goes on in the next line
    return f'<dd><a href="{escape(address)}" target="_blank" rel="noopener noreferrer">{broken}</a></dd>'


def _chip(value: str, colour: str = "") -> str:
    return f'<span dir="auto" class="chip {colour}">{escape(value)}</span>'
