"""Jobs at the command line, the commands as processes of their own."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

from deploy import running
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


PREFECT_ID = UUID("86a2f2e2-ba55-4e38-9db9-12512e5b9ec4")


class Prefect(BaseHTTPRequestHandler):
    """Stands in for the route of Prefect 3.8's server that tells logs, for who signs in."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        line = {"timestamp": "2026-11-27T01:30:08Z", "level": 20, "message": "rows: 1,686"}
        self.send_response(200 if self.headers["authorization"] else 401)
        self.end_headers()
        self.wfile.write(json.dumps([line]).encode())

    def log_message(self, *_: object) -> None:
        return


def test_the_log_of_a_run_is_read_where_up_has_prefect(cli: Cli) -> None:
    run = flow_runs.begin("back-up", prefect_id=PREFECT_ID)
    at_the_command_line = flow_runs.begin("back-up")
    assert "does not answer just now" in cli("jobs", "logs", str(run)).err
    assert cli("jobs", "logs", str(run), "--json").object == {"run": run, "lines": None}
    supervisor = running.identified(running.SUPERVISOR, os.getpid())
    assert supervisor is not None
    cli.home.mkdir(exist_ok=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), Prefect) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = {running.PREFECT: f"http://127.0.0.1:{server.server_port}"}
        running.record(running.record_file(cli.home), [supervisor], address)
        [line] = cli("jobs", "logs", str(run), "--json").object["lines"]
        assert line == {"at": "2026-11-27T01:30:08+00:00", "level": "info", "message": "rows: 1,686"}
        assert "info     rows: 1,686" in cli("jobs", "logs", str(run)).out
        assert "ran without Prefect" in cli("jobs", "logs", str(at_the_command_line)).err
        server.shutdown()


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
