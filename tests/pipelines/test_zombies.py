"""Runs whose process is gone, beside a Prefect that knows them: it is told, and nothing is lost or done twice."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun as Told
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import Abort
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Failed, Running, State
from prefect.testing.utilities import prefect_test_harness
from sqlalchemy import func, select, text, update

from models import flow_runs, flow_schedules, jobs
from models.database import reading, writing
from models.errors import Conflict
from models.flow_runs import FlowRun, Run, RunState
from models.flow_schedules import Entry
from models.mails import Kind, Mail
from models.permissions import OPERATOR, Role
from pipelines import deployments, flows, zombies
from pipelines.recorded import PREFECT_RUN
from tests.people import person

FLOW = "back-up"


@pytest.fixture(scope="module")
def harness() -> Iterator[str]:
    """A server of Prefect's of its own, with the deployment of the flow."""
    with prefect_test_harness(server_startup_timeout=120):
        [one.apply() for one in deployments.scheduled() if one.flow_name == FLOW]
        yield str(PREFECT_API_URL.value())


@pytest.fixture
def prefect(db: str, harness: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("PREFECT_API_URL", harness)
    monkeypatch.setattr(zombies, "UNHEARD", timedelta())
    person(email="ann@example.com", name="Ann", role=Role.ADMIN)
    with get_client(sync_client=True) as client:
        for old in others(client):
            client.delete_flow_run(old.id)
        yield client


def started(prefect: Any, state: State[Any], parameters: dict[str, Any] | None = None) -> UUID:
    """A run by schedule that Prefect takes to be in that state; its number there."""
    deployment = prefect.read_deployment_by_name(f"{FLOW}/{deployments.SCHEDULED_NAME}")
    run: UUID = prefect.create_flow_run_from_deployment(deployment.id, parameters=parameters).id
    prefect.set_flow_run_state(run, state, force=True)
    return run


def others(prefect: Any, *but: UUID) -> list[Told]:
    wanted = FlowRunFilter.model_validate({"id": {"not_any_": list(but)}})
    found = prefect.read_flow_runs(flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=200)
    return list(found)


def ours() -> list[Run]:
    return flow_runs.page(by=OPERATOR)


def mailed() -> int:
    with reading() as session:
        return session.scalars(select(func.count()).where(Mail.kind == Kind.FLOW_FAILED)).one()


def silent() -> None:
    with writing(OPERATOR) as session:
        session.execute(update(FlowRun).values(heartbeat_at=func.now() - func.make_interval(0, 0, 0, 0, 1)))


def test_what_died_before_it_said_anything_is_noted_told_and_asked_for_once_more(prefect: Any) -> None:
    died = started(prefect, Running())
    for _ in range(2):
        zombies.end_gone()
        [noted] = ours()
        assert (noted.prefect_id, noted.flow, noted.state, noted.scheduled) == (died, FLOW, RunState.CRASHED, True)
        assert noted.error == zombies.NEVER_BEGAN
        assert prefect.read_flow_run(died).state.is_crashed()
        [again] = others(prefect, died)
        assert again.parameters == {"scheduled": True}
        assert mailed() == 1


def test_what_failed_at_once_is_noted_and_not_done_again(prefect: Any) -> None:
    failed = started(prefect, Failed(message="Flow run encountered an exception: ModuleNotFoundError: No module named"))
    time.sleep(1.5)
    zombies.end_gone()
    zombies.end_gone()
    [noted] = ours()
    assert (noted.state, noted.error) == (RunState.FAILED, zombies.NOT_TOLD)
    assert noted.seconds < 1, "what it took there, not until it was noticed"
    assert (mailed(), others(prefect, failed)) == (1, [])


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Flow run encountered an exception: RunsAlready: back-up runs already: wait for it.",
         "back-up runs already: wait for it."),
        ("Flow run encountered an exception: Failed: RunsAlready: back-up runs already: wait for it.",
         "back-up runs already: wait for it."),
        ("Flow run encountered an exception: Failed: InvalidInput", zombies.NOT_TOLD),
        ("Flow run encountered an exception: Failed: Unavailable from OperationalError: there was none",
         zombies.NOT_TOLD),
        ("Flow run encountered an exception: ValueError: invalid literal for int()", zombies.NOT_TOLD),
        ("Flow run encountered an exception: KeyError", zombies.NOT_TOLD),
    ],
)  # fmt: skip
def test_people_read_the_sentence_of_an_error_and_no_name_of_a_class(prefect: Any, said: str, shown: str) -> None:
    started(prefect, Failed(message=said))
    zombies.end_gone()
    assert [one.error for one in ours()] == [shown]


def test_what_was_asked_for_and_died_before_it_began_is_the_run_that_waited(prefect: Any) -> None:
    flow_schedules.write([Entry(FLOW, "0 2 * * *", "UTC", "Makes another one.")])
    waits = jobs.run(FLOW, by=OPERATOR)
    started(prefect, Failed(message="No module named “pipelines”."), {"noted": waits})
    zombies.end_gone()
    zombies.end_gone()
    assert [(one.id, one.state) for one in ours()] == [(waits, RunState.FAILED)]
    assert mailed() == 1


def test_what_says_that_it_lives_is_left_alone(prefect: Any) -> None:
    lives = started(prefect, Running())
    run = flow_runs.begin(FLOW, prefect_id=lives)
    zombies.end_gone()
    assert [one.state for one in ours()] == [RunState.RUNNING]
    assert prefect.read_flow_run(lives).state.is_running()
    flow_runs.end(run, RunState.DONE)
    zombies.end_gone()
    assert prefect.read_flow_run(lives).state.is_crashed(), "its process died when all was done"
    assert (others(prefect, lives), mailed()) == ([], 0)


def test_while_prefect_does_not_answer_the_end_of_a_run_waits(prefect: Any, caplog: pytest.LogCaptureFixture) -> None:
    gone = started(prefect, Running())
    flow_runs.begin(FLOW, prefect_id=gone, scheduled=True)
    silent()
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), pytest.raises(Exception, match="refused"):
        zombies.end_gone()
    assert [one.state for one in ours()] == [RunState.RUNNING]
    zombies.end_gone()
    assert [one.state for one in ours()] == [RunState.CRASHED]
    assert len(others(prefect, gone)) == 1
    assert prefect.read_flow_run(gone).state.is_crashed()


def test_what_somebody_stopped_in_prefect_is_not_done_again(prefect: Any) -> None:
    stopped = started(prefect, Cancelling())
    flow_runs.begin(FLOW, prefect_id=stopped)
    silent()
    zombies.end_gone()
    assert [one.state for one in ours()] == [RunState.CANCELLED]
    assert others(prefect, stopped) == []


@pytest.mark.parametrize("raises", [False, True])
def test_what_somebody_stopped_here_is_cancelled_there_too(
    prefect: Any, monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    told = started(prefect, Running())
    monkeypatch.setenv(PREFECT_RUN, str(told))

    def work() -> None:
        flow_runs.end(flow_runs.begin("nap", prefect_id=told), RunState.CANCELLED)
        if raises:
            raise InterruptedError("no more")

    with pytest.raises(Abort):
        flows.flow(name="nap", run_name="nap")(work)()
    assert prefect.read_flow_run(told).state.is_cancelled()


def test_prefect_keeps_of_an_error_what_can_be_nobodys_data(prefect: Any) -> None:
    @flows.flow(name="failing", run_name="fails")
    def failing(*, which: str) -> None:
        if which == "another's":
            raise ValueError("Ann Secret, ann@secret.example")
        if which == "of a row":
            with writing(OPERATOR) as session:
                session.execute(text("INSERT INTO flow_runs (flow) VALUES ('ann@secret.example')"))
        raise Conflict("Somebody else has changed it, ann@secret.example in fact: look again.")

    for which in ("another's", "of a row", "ours"):
        with pytest.raises(flows.Failed):
            failing(which=which)
    kept = [prefect.read_flow_run(one.id) for one in others(prefect)]
    words = sorted(one.state.message.removeprefix("Flow run encountered an exception: Failed: ") for one in kept)
    assert words == [
        "Conflict: Somebody else has changed it, … in fact: look again.", "IntegrityError: 23502 (flow_runs)",
        "ValueError",
    ]  # fmt: skip
