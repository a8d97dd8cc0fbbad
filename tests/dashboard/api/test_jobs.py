"""Jobs over HTTP."""

from models import flow_runs, flow_schedules
from models.flow_runs import RunState
from models.flow_schedules import Entry
from models.permissions import Role
from tests.dashboard.api.conftest import Client


def test_jobs_are_listed_run_paused_stopped_and_done_again(client: Client) -> None:
    flow_schedules.write([Entry("back-up", "0 2 * * *", "UTC", "Makes another one.")])
    admin, manager = client(Role.ADMIN), client(Role.MANAGER)
    assert manager.get("/jobs").status_code == 403
    assert client(Role.ADMIN, scopes=["server.oversee"]).post("/jobs/back-up/run").status_code == 403
    [job] = admin.get("/jobs").json()["jobs"]
    assert (job["name"], job["schedule"], job["setting"]) == ("back-up", "0 2 * * *", "APPOINTMENT360_SCHEDULE_BACK_UP")
    assert job["next_at"].endswith("T02:00:00Z")
    assert admin.post("/jobs/back-up/pause").json()["paused_by"] == "An admin"
    assert admin.post("/jobs/back-up/resume").json()["paused_at"] is None
    asked = admin.post("/jobs/back-up/run")
    assert (asked.status_code, asked.json()["asked_at"] is not None) == (202, True)
    waits = asked.json()["asked_run"]
    assert admin.post("/jobs/back-up/run").json()["asked_run"] == waits
    assert admin.get(f"/jobs/runs/{waits}").json()["state"] == "waiting"
    assert admin.post(f"/jobs/runs/{waits}/cancel").json()["state"] == "cancelled"
    assert admin.post("/jobs/back-down/run").status_code == 404

    run = flow_runs.begin("back-up", scheduled=True)
    assert admin.post("/jobs/back-up/run").status_code == 409
    assert admin.post(f"/jobs/runs/{run}/retry").status_code == 409
    stopped = admin.post(f"/jobs/runs/{run}/cancel")
    assert (stopped.status_code, stopped.json()["state"]) == (202, "running")
    flow_runs.end(run, RunState.CANCELLED, counts={"rows": 3})
    again = admin.post(f"/jobs/runs/{run}/retry")
    assert (again.status_code, again.json()["state"]) == (202, "waiting")
    second = flow_runs.begin("back-up")
    flow_runs.end(second, RunState.FAILED, error="The disk is full.")
    assert [one["id"] for one in admin.get("/jobs/runs", params={"state": "cancelled"}).json()["runs"]] == [run, waits]
    page = admin.get("/jobs/runs", params={"size": 1}).json()
    assert ([one["id"] for one in page["runs"]], page["next"]) == ([second], second)
    assert page["runs"][0]["error"] == "The disk is full."
    [last] = admin.get("/jobs/runs", params={"before": run + 1, "size": 1}).json()["runs"]
    assert (last["id"], last["counts"], last["scheduled"]) == (run, {"rows": 3}, True)
    assert admin.get(f"/jobs/runs/{run}").json() == last
    assert admin.get(f"/jobs/runs/{run}/log").json() == {"lines": None}
    assert admin.get("/jobs/runs/999").status_code == 404
    assert admin.get("/jobs/runs", params={"job": "back-down"}).status_code == 422
    assert admin.get(f"/jobs/runs/{run}").json()["cancelled_by"] == "An admin"
