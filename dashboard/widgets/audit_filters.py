"""The audit log's conditions: read from the address, shown as controls, and written back to it."""

import streamlit as st

from dashboard import formats
from dashboard.widgets.page import plain
from models import audit, audit_log
from models.audit import Event
from models.audit_log import Wanted
from models.errors import InvalidInput

BEFORE = "before"  # in the address: the last line of the page before this one
LONGEST_NUMBER = 19  # digits of a bigint
WHO, EVENTS, ABOUT, PERIOD, WORDS = (f"audit {name}" for name in ("who", "events", "about", "period", "words"))


def wanted() -> Wanted:
    """What the address asks for. Raises InvalidInput."""
    params = st.query_params
    return audit_log.parse([(key, one) for key in params if key != BEFORE for one in params.get_all(key)])


def before() -> int | None:
    """Raises InvalidInput."""
    text = st.query_params.get(BEFORE)
    if text is not None and not (text.isdecimal() and text.isascii() and len(text) <= LONGEST_NUMBER):
        raise InvalidInput(f"{BEFORE}={text[:LONGEST_NUMBER]}: it is the number of a line.")
    return int(text) if text else None


def write(chosen: Wanted, last: int | None = None) -> None:
    grouped: dict[str, str | list[str]] = {}
    for key, value in chosen.pairs():
        grouped[key] = [*grouped.get(key, []), value]
    st.query_params.from_dict(grouped | ({BEFORE: str(last)} if last is not None else {}))


def audit_filters(chosen: Wanted, people: dict[str, str]) -> None:
    """`people` is what `who` may be, with their names."""
    since, until = audit_log.day_of(chosen.since), audit_log.day_of(chosen.until)
    period = tuple(one for one in (since or until, until if since else None) if one)
    st.session_state.update({
        WHO: chosen.who.lower() or None, EVENTS: list(chosen.events), ABOUT: chosen.about, PERIOD: period,
        WORDS: chosen.words,
    })  # fmt: skip
    grid = st.grid(6, min_column_width=150, gap="small")
    with grid:
        st.text_input(
            "Search", key=WORDS, type="search", icon=":material/search:", placeholder="Words in a line",
            max_chars=audit_log.LONGEST_WORDS, on_change=_changed,
        )  # fmt: skip
        st.selectbox(
            "Who", list(people), key=WHO, placeholder="Anybody", on_change=_changed,
            format_func=lambda who: plain(people[who] if who in audit_log.NAMELESS else f"{people[who]} · {who}"),
        )  # fmt: skip
        st.multiselect(
            "What happened", [event.value for event in Event], key=EVENTS, format_func=audit.label,
            placeholder="Anything", on_change=_changed,
        )  # fmt: skip
        st.text_input(
            "On what", key=ABOUT, type="search", placeholder="import, or import 17", on_change=_changed,
            max_chars=audit_log.LONGEST_WORDS,
            help="A kind of thing (contact, import, export, industry, user), or one of them: contact 5, user ann@x.com",
        )  # fmt: skip
    with grid.cell(column_span=2):
        st.date_input(
            "Period", key=PERIOD, max_value=audit_log.LAST_DAY, format=formats.day_pattern(), on_change=_changed,
            help="From and to, both included; days are days in UTC",
        )  # fmt: skip


def _changed() -> None:
    """Of a period whose end is not chosen yet nothing changes."""
    state = st.session_state
    period = state[PERIOD] if isinstance(state[PERIOD], tuple) else (state[PERIOD],)
    old = wanted()
    days = (audit_log.day_of(old.since), audit_log.day_of(old.until)) if len(period) == 1 else period or (None, None)
    write(Wanted(state[WHO] or "", tuple(state[EVENTS]), " ".join(state[ABOUT].split()), *days, state[WORDS].strip()))
