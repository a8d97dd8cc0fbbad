"""One machine: who waits for something never waits for what is scheduled."""

import pytest
from prefect.runner import Runner

from models import flow_runs, flow_schedules
from models.errors import Unavailable
from models.flow_schedules import Entry
from models.permissions import OPERATOR
from pipelines import deployments, schedule, serve


def test_what_is_asked_for_has_a_runner_to_itself(db: str) -> None:
    flow_schedules.write(schedule.entries())
    asked, scheduled = serve._runner(schedule.ASKED), serve._runner(schedule.SCHEDULED)
    assert isinstance(asked, Runner)
    assert (asked.limit, scheduled.limit) == (None, 1)
    assert {one.name for one in deployments.asked()} == {"default"}
    found = {one.flow_name: one for one in deployments.scheduled()}
    assert found.keys() == {one.flow for one in schedule.SCHEDULE}
    assert all((one.name, one.parameters) == ("scheduled", {"scheduled": True}) for one in found.values())


def test_schedules_are_those_of_the_settings_before_prefect_answers(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flow_schedules.write([Entry("back-up", "0 5 * * *", "UTC", "As the runner before had it.")])
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(Unavailable, match="PREFECT_API_URL"):
        serve.main()
    assert {one.flow: one.cron for one in flow_schedules.listed(by=OPERATOR)}["back-up"] == "0 1 * * *"


def test_every_flow_is_offered_and_those_of_the_table_take_what_it_gives() -> None:
    offered = deployments.offered()
    assert offered.keys() | {flow_runs.SWEEP} == flow_runs.FLOWS
    assert "import-contacts" in offered
    for one in schedule.SCHEDULE:
        assert {"asked_by", "scheduled", "noted"} <= set(offered[one.flow].parameters.properties), one.flow
