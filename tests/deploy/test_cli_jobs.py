"""Jobs at the command line, the commands as processes of their own."""

from models import flow_runs, flow_schedules
from models.flow_runs import RunState
from models.flow_schedules import Entry
from models.permissions import OPERATOR
from tests.deploy.command_line import Cli, on_a_terminal, without_colours


def test_jobs_are_listed_run_and_paused_and_lists_fit_a_narrow_terminal(cli: Cli) -> None:
    flow_schedules.write([Entry("reconcile-payments", "20 */6 * * *", "UTC", "Compares once more.")])
    run = flow_runs.begin("reconcile-payments", scheduled=True)
    flow_runs.end(run, RunState.FAILED, counts={"compared": 3}, error="Razorpay does not answer just now.")
    [job] = cli("jobs", "list", "--json").object["jobs"]
    assert (job["job"], job["state"], job["last"]["state"]) == ("reconcile-payments", "on", "failed")
    for command in (["list"], ["runs"], ["show", str(run)]):
        printed = without_colours(on_a_terminal(cli, ["jobs", *command], "", columns=80))
        assert max(len(line) for line in printed.splitlines()) <= 80, command
    assert "Razorpay does not answer just now." in printed
    assert cli("jobs", "pause", "reconcile-payments").out == (
        "reconcile-payments runs only when somebody asks for it.\n"
    )
    assert cli("jobs", "resume", "reconcile-payments", "--json").object == {
        "job": "reconcile-payments", "paused": False,
    }  # fmt: skip
    again = cli("jobs", "retry", str(run), "--json").object["again"]
    [wish] = flow_schedules.asked()
    assert (wish.flow, wish.run) == ("reconcile-payments", again)
    assert cli("jobs", "run", "reconcile-payments").out == (
        f"reconcile-payments begins within seconds. It is run {again}: appointment360 jobs show {again}\n"
    )
    assert "waits to begin" in cli("jobs", "show", str(again)).out
    assert cli("jobs", "cancel", str(run), "--json").object == {"error": f"Run {run} is failed already."}
    assert cli("jobs", "run", "back-down").code == 1
    assert cli("jobs", "runs", "--job", "back-down", "--json").object["error"].startswith("There is no job “back-down”")
    assert flow_schedules.listed(by=OPERATOR)[0].paused is False


def test_moments_are_in_a_zone_that_is_named_and_as_iso_8601_for_programs(cli: Cli) -> None:
    flow_schedules.write([Entry("back-up", "0 9 * * *", "Asia/Kolkata", "Makes another one.")])
    flow_runs.end(flow_runs.begin("back-up"), RunState.DONE)
    told = cli("jobs", "list")
    assert ", 09:00" in told.out, "as the schedule says"
    assert "Schedules and times are in Asia/Kolkata." in told.err
    assert "Times are in " in cli("jobs", "runs").err
    [job] = cli("jobs", "list", "--json").object["jobs"]
    assert job["next_at"].endswith("T03:30:00+00:00")
    assert job["last"]["started_at"][10] == "T"
