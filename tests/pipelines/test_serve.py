"""One machine: who waits for something never waits for what is scheduled."""

from prefect.runner import Runner

from models import flow_schedules
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


def test_every_flow_is_offered_and_those_of_the_table_take_what_it_gives() -> None:
    offered = deployments.offered()
    assert "import-contacts" in offered
    for one in schedule.SCHEDULE:
        assert {"asked_by", "scheduled"} <= set(offered[one.flow].parameters.properties), one.flow
