"""Backups: what there is, whether a drill proved it, how long a restore takes, and what to do."""

from datetime import datetime

import streamlit as st

from dashboard import flow_runs, formats, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.backup_table import backup_table, took
from dashboard.widgets.page import plain
from dashboard.widgets.restore_chart import restore_chart
from models import backup_alerts, backups
from models.backup_alerts import Health
from models.backups import Backup, State
from models.permissions import Actor, Permission
from models.settings import settings

TITLE = "Backups"
NOTE = "Proven is a backup that was restored and found the same."
EVERY = "2s"
DAY = 24 * 60 * 60
UNDER_WAY = (State.WAITING, State.RUNNING)


def show() -> None:
    by = session.actor()
    with page.skeleton("backups", TITLE, 420) as place:
        found, health, steps = backups.listed(by=by), backup_alerts.health(by=by), backups.at_work(by=by)
    with place.container():
        with page.header(TITLE, NOTE):
            if by.may(Permission.SERVER_MANAGE):
                _button(_busy(found, steps), by)
        for alert in health.alerts:
            st.error(plain(alert), icon=":material/error:")
        if _busy(found, steps):
            part(_follow, run_every=EVERY)([one.shown(steps) for one in found])
        if not found:
            _nothing_yet()
            return
        _metrics(found, health)
        if settings().backup_encryption == "key":
            key = plain(str(backups.key_file()))
            st.caption(f"The file {key} on the server opens them, and nothing else does: keep a copy of it elsewhere.")
        if health.moments:
            _moments(*health.moments)
        backup_table(found, steps)
        restore_chart(found)


def _busy(found: list[Backup], steps: dict[int, str]) -> bool:
    return bool(steps) or any(one.state in UNDER_WAY or one.drill_asked_at for one in found)


def _button(busy: bool, by: Actor) -> None:
    if st.button("Back up now", icon=":material/backup:", type="primary", disabled=busy):
        with page.refusals():
            flow_runs.start_backup(backups.ask(by=by))
            st.rerun()


def _follow(before: list[str]) -> None:
    """Until it is over; then the whole page once more, without the clock."""
    by = session.actor()
    now, steps = backups.listed(by=by), backups.at_work(by=by)
    if not _busy(now, steps) or [one.shown(steps) for one in now] != before:
        st.rerun()
    for number, step in steps.items():
        st.info(f"Backup {number}: {plain(step or 'begins')} … You can leave this page.", icon=":material/backup:")
    if not steps:
        st.info("Waits for its turn …", icon=":material/backup:")


def _metrics(found: list[Backup], health: Health) -> None:
    done = [one for one in found if one.state == State.DONE]
    proven = next((one for one in found if one.proven), None)
    with st.grid(4, min_column_width=150, gap="small", border=True) as wall:
        for label, value, told in (
            ("Last backup", _age(health.newest_age), f"{formats.counted(len(done), 'backup')} kept"),
            ("Last proven", _age(health.proven_age), f"backup {proven.id}" if proven else "by no drill yet"),
            ("A restore takes", took(health.restore_seconds) or "–", "as the last drill measured"),
            ("Size of all", formats.size(health.bytes), plain(backups.place())),
        ):
            with wall.cell():
                st.metric(label, value)
                st.caption(told)


def _moments(first: datetime, last: datetime) -> None:
    with page.card("Restoring to a moment", f"From {formats.moment(first)} to {formats.moment(last)}"):
        st.caption("The server as it was at any moment in between, in a folder of its own. On the server:")
        st.code('appointment360 restore --at "TIME" --into FOLDER', language=None)


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{formats.counted(int(seconds // DAY), 'day')} ago" if seconds >= DAY else _rough(seconds) + " ago"


def _rough(seconds: float) -> str:
    """The larger unit alone: a card is narrow."""
    return " ".join(formats.duration(seconds).split()[:2])


def _nothing_yet() -> None:
    body = f"The first goes to {backups.place()}, by schedule or when somebody presses “Back up now”."
    with page.empty("backup", "There is no backup yet", body):
        pass
