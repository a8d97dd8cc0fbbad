"""Jobs: what runs by itself on the server, what ran, and what is next; `/jobs?job=...&state=...&before=...`."""

import streamlit as st

from dashboard import flow_logs, session
from dashboard.widgets import page
from dashboard.widgets.job_runs import job_runs
from dashboard.widgets.job_schedules import job_schedules
from dashboard.widgets.jobs_running import jobs_running
from models import flow_runs, flow_schedules
from models.errors import InvalidInput
from models.permissions import Permission

TITLE = "Jobs"
PREFECT = "What carries the jobs out: its own screens, with every run’s log, queues and events."


def show() -> None:
    by = session.actor()
    with page.skeleton("jobs", TITLE, 90, 260, 380) as place:
        there = flow_schedules.listed(by=by)
        newest = flow_runs.newest_of(tuple(one.flow for one in there), by=by)
    with place.container():
        with page.header(TITLE, "What the server does by itself, or because somebody waits for it."):
            if by.may(Permission.SERVER_MANAGE) and (prefect := flow_logs.address()) is not None:
                st.link_button("Prefect", prefect, icon=":material/open_in_new:", type="tertiary", help=PREFECT)
        jobs_running()
        job_schedules(there, newest)
        try:
            job_runs()
        except InvalidInput as error:
            with page.empty("search_off", "This address cannot be read", error.sentence, colour="red"):
                st.button("Show all", on_click=st.query_params.clear)
