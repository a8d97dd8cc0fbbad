"""Setting up, changing and removing a watched folder, and the small things that are done with one at once."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.import_mapping import KEEP_WORDS, MATCH_WORDS
from dashboard.widgets.page import plain
from dashboard.widgets.said import say
from models import mappings, profile, schedule_times, watched_files, watched_folders
from models.permissions import Actor
from models.settings import settings
from models.watched_files import Seen
from models.watched_folders import Folder, Watching

OTHER = "other"
SCHEDULES = {
    "*/5 * * * *": "Every 5 minutes",
    schedule_times.WORDS["hour"]: "Every hour",
    schedule_times.WORDS["day"]: "Every day at 06:00",
    schedule_times.WORDS["weekday"]: "Monday to Friday at 06:00",
    schedule_times.WORDS["week"]: "Mondays at 06:00",
    OTHER: "Another schedule, as cron",
}


@dialog("Watch a folder", icon=":material/folder_eye:", width="large")
def set_up_dialog(one: Folder | None) -> None:
    """`one` is the folder to change; None sets up a new one."""
    by, now = session.actor(), one.watching if one else Watching("", "", "*/5 * * * *", time_zone=formats.time_zone())
    wall = st.grid(2, min_column_width=280, gap="small")
    with wall.cell():
        name = st.text_input("Name", value=now.name, max_chars=watched_folders.LONGEST_NAME)
    with wall.cell():
        address = st.text_input("Place", value=now.address, placeholder="s3://bucket/prefix", help=_where())
    with wall.cell():
        pattern = st.text_input("Files called", value=now.pattern, help="* stands for anything: *.csv")
    with wall.cell():
        schedule = _schedule(now)
    with wall.cell():
        mapping_id = _mapping(now, by)
    with wall.cell():
        commits = st.selectbox(
            "Then", [False, True], index=int(now.commits),
            format_func=lambda one: "Commit what the plan says" if one else "Stop at the plan, for a person",
            help="It is committed only where the columns are known; what else stands out waits for a person, too",
        )  # fmt: skip
    with wall.cell():
        match = _rule("A row is an existing contact with", "match", MATCH_WORDS, now)
    with wall.cell():
        keep = _rule("When both have a value", "keep", KEEP_WORDS, now)
    with wall.cell():
        mail_to = st.text_input("Mail the outcome to", value=now.mail_to or ("" if one else profile.get(by=by).email))
    with wall.cell():
        zone = st.text_input("Time zone of the schedule", value=now.time_zone)
    st.caption("Its imports have your rights, and are yours. Each file is imported once, by its content.")
    if not confirmed("Save" if one else "Watch it", disabled=not (name.strip() and address.strip())):
        return
    rules = {rule: value for rule, value in (("match", match), ("keep", keep)) if value}
    wanted = Watching(name, address, schedule, pattern, zone, mapping_id, rules, commits, mail_to.strip() or None)
    if one is None:
        _carry_out(lambda: watched_folders.add(wanted, by=by), f"“{name.strip()}” is watched from now on.")
    else:
        _carry_out(lambda: watched_folders.change(one.id, wanted, by=by), f"“{name.strip()}” was changed.")


@dialog("Watch it no more?", icon=":material/delete:")
def remove_dialog(one: Folder) -> None:
    st.markdown(f"Files that come into **{plain(one.watching.address)}** are imported no more.")
    st.caption("What came of it so far stays, the files in the place as well.")
    if confirmed("Remove"):
        _carry_out(
            lambda: watched_folders.remove(one.id, by=session.actor()), f"“{one.watching.name}” is watched no more."
        )


def look_now(one: Folder) -> None:
    _carry_out(lambda: watched_folders.look_soon(one.id, by=session.actor()), "It is looked at within a minute.")


def pause_now(one: Folder) -> None:
    said = f"“{one.watching.name}” is {'paused' if one.is_active else 'watched again'}."
    _carry_out(lambda: watched_folders.activate(one.id, not one.is_active, by=session.actor()), said)


def again_now(one: Seen) -> None:
    said = f"{one.name} is tried again at the next look, within a minute."
    _carry_out(lambda: watched_files.try_again(one.id, by=session.actor()), said)


def _where() -> str:
    roots = settings().watch_roots
    folders = f"a folder below {roots}" if roots else "a folder, where APPOINTMENT360_WATCH_ROOTS allows some"
    return f"A prefix in S3, s3://BUCKET/PREFIX, or {folders}"


def _schedule(now: Watching) -> str:
    known = now.schedule if now.schedule in SCHEDULES else OTHER
    chosen = st.selectbox(
        "Looked at", list(SCHEDULES), index=list(SCHEDULES).index(known), format_func=SCHEDULES.get
    )  # fmt: skip
    if chosen != OTHER:
        return chosen
    return st.text_input("Cron", value=now.schedule, help="Minute, hour, day, month, weekday: 30 7 * * 1-5")


def _mapping(now: Watching, by: Actor) -> int | None:
    named = {one.id: one.title for one in mappings.listed(by=by) if one.name or one.id == now.mapping_id}
    options = [None, *named]
    return st.selectbox(
        "Mapped by", options, index=options.index(now.mapping_id) if now.mapping_id in options else 0,
        format_func=lambda one: named.get(one, "What is remembered for the columns"),
    )  # fmt: skip


def _rule(label: str, name: str, words: Mapping[Any, str], now: Watching) -> str | None:
    options = [None, *(one.value for one in words)]
    kept = now.rules.get(name)
    shown = {one.value: word for one, word in words.items()}
    return st.selectbox(
        label, options, index=options.index(kept) if kept in options else 0,
        format_func=lambda one: shown.get(one, "As the mapping says"),
    )  # fmt: skip


def _carry_out(operation: Callable[[], object], sentence: str) -> None:
    with page.refusals():
        operation()
        say(sentence)
