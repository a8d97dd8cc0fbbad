"""Backups: what there is, whether a drill proved it, how long a restore takes, and what to do."""

import streamlit as st

from dashboard import flow_runs, formats, session
from dashboard.parts import part
from dashboard.widgets import page
from dashboard.widgets.backup_table import backup_table
from dashboard.widgets.page import plain
from dashboard.widgets.restore_chart import restore_chart
from models import backup_alerts, backups
from models.backup_alerts import Health
from models.backups import Backup, State
from models.permissions import Actor, Permission

TITLE = "Backups"
NOTE = "Proven is a backup that was restored and found the same."
EVERY = "2s"
UNDER_WAY = (State.WAITING, State.RUNNING)


def show() -> None:
    by = session.actor()
    with page.skeleton("backups", TITLE, 90, 420) as place:
        found, health = backups.listed(by=by), backup_alerts.health(by=by)
    with place.container():
        with page.header(TITLE, NOTE):
            if by.may(Permission.SERVER_MANAGE):
                _button(found, by)
        for alert in health.alerts:
            st.error(plain(alert), icon=":material/error:")
        if any(one.state in UNDER_WAY or one.drill_asked_at for one in found):
            part(_follow, run_every=EVERY)([one.standing for one in found])
        if not found:
            _nothing_yet()
            return
        _metrics(found, health)
        backup_table(found)
        restore_chart(found)


def _button(found: list[Backup], by: Actor) -> None:
    busy = any(one.state in UNDER_WAY for one in found)
    if st.button("Back up now", icon=":material/backup:", type="primary", disabled=busy):
        with page.refusals():
            flow_runs.start_backup(backups.ask(by=by))
            st.rerun()


def _follow(before: list[str]) -> None:
    """Until it is over; then the whole page once more, without the clock."""
    now = backups.listed(by=session.actor())
    busy = any(one.state in UNDER_WAY or one.drill_asked_at for one in now)
    if not busy or [one.standing for one in now] != before:
        st.rerun()
    waits = all(one.state != State.RUNNING for one in now)
    st.info("Waits for its turn …" if waits else "Backing up … You can leave this page.", icon=":material/backup:")


def _metrics(found: list[Backup], health: Health) -> None:
    done = [one for one in found if one.state == State.DONE]
    proven = next((one for one in found if one.proven), None)
    with st.grid(4, min_column_width=150, gap="small", border=True) as wall:
        for label, value, told in (
            ("Last backup", _age(health.newest_age), f"{formats.counted(len(done), 'backup')} kept"),
            ("Last proven", _age(health.proven_age), f"backup {proven.id}" if proven else "by no drill yet"),
            ("A restore takes", _duration(health.restore_seconds), "as the last drill measured"),
            ("Size of all", formats.size(health.bytes), plain(backups.place())),
        ):
            with wall.cell():
                st.metric(label, value)
                st.caption(told)


def _age(seconds: float | None) -> str:
    return "–" if seconds is None else f"{formats.duration(seconds)} ago"


def _duration(seconds: float | None) -> str:
    return "–" if seconds is None else formats.duration(seconds)


def _nothing_yet() -> None:
    body = f"The first goes to {plain(backups.place())}, by schedule or when somebody presses “Back up now”."
    with page.empty("backup", "There is no backup yet", body):
        pass
