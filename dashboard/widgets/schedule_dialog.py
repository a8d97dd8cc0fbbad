"""Asks when a view shall be exported, and to where; for a new schedule and for one that is changed."""

import streamlit as st

from dashboard import formats, session
from dashboard.parts import dialog
from dashboard.widgets import page
from dashboard.widgets.confirm import confirmed
from dashboard.widgets.export_dialog import FORMATS
from dashboard.widgets.page import plain
from dashboard.widgets.said import say
from models import export_places, schedule_times, view_exports
from models.errors import AppError
from models.permissions import Actor
from models.view_exports import Schedule, Wanted
from models.views import View as SavedView

OWN = "cron"
EVERY = {
    "hour": "Hour",
    "day": "Day, 06:00",
    "weekday": "Weekday, 06:00",
    "week": "Monday, 06:00",
    "month": "Month’s first, 06:00",
    OWN: "Cron…",
}
MAILS = {"always": "Always", "failure": "When it fails"}
NAMES = "{view}, {date} and {time} are filled in. A name without a moment in it is written over each time."
NO_PLACE = (
    "Whoever runs the machine first names the folders or s3:// prefixes that exports may go to, in "
    f"{export_places.VARIABLE}."
)


@dialog("Export by schedule", icon=":material/schedule_send:", width="medium")
def schedule_dialog(saved: SavedView) -> None:
    by = session.actor()
    st.markdown(f"**{plain(saved.name)}**, with your rights and credits, as they are each time.")
    wanted = _asked(None, by)
    if wanted and confirmed("Schedule"):
        with page.refusals():
            view_exports.schedule(saved.id, wanted, by=by)
            say(f"“{saved.name}” is exported from now on. Views shows how each time went.")


@dialog("Change the schedule", icon=":material/edit:", width="medium")
def change_dialog(found: Schedule) -> None:
    by = session.actor()
    st.markdown(f"**{plain(found.view)}**, with the rights and credits of {plain(found.owner)}.")
    wanted = _asked(found.wanted, by)
    if wanted and confirmed("Save"):
        with page.refusals():
            view_exports.change(found.id, wanted, by=by)
            say(f"The schedule of “{found.view}” is changed.")


def _asked(known: Wanted | None, by: Actor) -> Wanted | None:
    """None where exports have no place to go to."""
    try:
        roots = export_places.roots()
    except AppError as error:
        page.refusal(error.sentence)
        return None
    if not roots:
        st.info(NO_PLACE, icon=":material/info:")
        return None
    every, zone = _when(known)
    left, right = st.columns(2)
    with left:
        chosen = st.segmented_control(
            "Format", list(FORMATS), default=known.format if known else "csv", required=True,
            format_func=FORMATS.__getitem__,
        )  # fmt: skip
    with right:
        mails = st.segmented_control(
            "Mail the outcome", list(MAILS), default=known.mails if known else "always", required=True,
            format_func=MAILS.__getitem__,
        )  # fmt: skip
    place = st.text_input(
        "Place", value=known.place if known else roots[0], help=f"In or below: {', '.join(map(plain, roots))}"
    )
    hourly = every == "hour"
    name = st.text_input(
        "Name of the file",
        value=known.file_name if known else "{view} {date} {time}" if hourly else view_exports.NAME,
        help=NAMES,
        key=f"schedule name {hourly}",
    )
    return Wanted(every, place, chosen, name, zone, mails)


def _when(known: Wanted | None) -> tuple[str, str]:
    """The word or cron, and the time zone."""
    words = {cron: word for word, cron in schedule_times.WORDS.items()}
    before = words.get(known.every, OWN) if known else "day"
    word = st.segmented_control("Every", list(EVERY), default=before, required=True, format_func=EVERY.__getitem__)
    cron = ""
    zone = known.time_zone if known else formats.time_zone()
    if word == OWN:
        cron = st.text_input(
            "Cron", value=known.every if known else "30 7 * * 1-5", help="Minute, hour, day, month, weekday"
        )
    every = cron if word == OWN else word
    try:
        st.caption(schedule_times.sentence(schedule_times.parsed(every, zone), zone))
    except AppError as error:
        page.refusal(error.sentence)
    return every, zone
