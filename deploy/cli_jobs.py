"""`appointment360 jobs`: what runs by itself, what ran and how it ended; running, stopping and pausing it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from deploy import local, output, prefect_server
from deploy.cli_options import Home, Json
from models.permissions import OPERATOR

if TYPE_CHECKING:
    from models.flow_runs import Run
    from models.flow_schedules import Schedule

group = typer.Typer(
    help="What runs by itself: list, runs, show, logs, run, cancel, retry, pause, resume.", no_args_is_help=True
)
JobName = Annotated[str, typer.Argument(metavar="JOB", help="Such as reconcile-payments.")]
NO_LOG = "It ran without Prefect, such as at the command line: there is no log of it."
RunId = Annotated[int, typer.Argument(metavar="RUN", help="A run's number.")]


@group.callback()
def everything() -> None:
    """What runs by itself: list, runs, show, logs, run, cancel, retry, pause, resume."""


@group.command("list")
def listed(as_json: Json = False, home: Home = None) -> None:
    """List what runs by schedule, with its next moment and how it went last."""
    with local.connected():
        from models import flow_runs, flow_schedules

        found = flow_schedules.listed(by=OPERATOR)
        newest = flow_runs.newest_of([one.flow for one in found], by=OPERATOR)
    if output.is_json():
        output.answer({"jobs": [_job(one, newest.get(one.flow)) for one in found]})
        return
    zone = ZoneInfo(found[0].time_zone) if found else None
    rows = []
    for one in found:
        last = newest.get(one.flow)
        moments = [output.moment(at, zone) for at in (one.next_at, last and last.started_at)]
        rows.append((one.flow, _state(one), one.cron, *moments, last and last.state))
    output.table(["job", "schedule", "cron", "next", "last run", "ended"], rows, spare=["cron", "last run"])
    if zone is not None:
        output.note(f"Schedules and times are in {zone}.")
    else:
        output.note("Nothing is scheduled yet: the runner, which `appointment360 up` starts, writes it down.")


@group.command()
def runs(
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="Of this job.")] = None,
    state: Annotated[str | None, typer.Option(help="waiting, running, done, failed, cancelled or crashed.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="So many of the latest.")] = 20,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List what ran, the latest first."""
    with local.connected():
        from models import flow_runs

        if state is not None and state not in list(flow_runs.RunState):
            raise typer.BadParameter(f"“{state}” is no state. States are: {', '.join(flow_runs.RunState)}.")
        wanted = flow_runs.RunState(state) if state else None
        found = flow_runs.page(flow=job, state=wanted, limit=limit, by=OPERATOR)
    if output.is_json():
        output.answer({"runs": [_run(one) for one in found]})
        return
    rows = [(one.id, one.flow, one.about, one.state, one.started_at, f"{one.seconds:,.0f} s") for one in found]
    headers = ["run", "job", "about", "state", "began", "took"]
    output.table(headers, rows, numbers=["run", "took"], spare=["about", "took"])


@group.command()
def show(run: RunId, as_json: Json = False, home: Home = None) -> None:
    """Show a run: what it counted, and why it failed."""
    with local.connected():
        from models import flow_runs

        found = flow_runs.get(run, by=OPERATOR)
    if output.is_json():
        output.answer(_run(found))
        return
    about = f" ({found.about})" if found.about else ""
    if found.state is flow_runs.RunState.WAITING:
        output.say(f"Run {found.id} of {found.flow} waits to begin, since {found.seconds:,.0f} s.")
        return
    stopped = f" by {found.canceller}" if found.canceller else ""
    output.say(f"Run {found.id} of {found.flow}{about} is {found.state}{stopped}, {found.seconds:,.1f} s.")
    if found.step:
        output.say(f"{found.step}: {found.done or 0:,} of {found.total or 0:,}" if found.total else found.step)
    if found.counts:
        output.table(["counted", "number"], [(name, str(value)) for name, value in found.counts.items()])
    if found.error:
        output.say(found.error)


@group.command()
def logs(run: RunId, as_json: Json = False, home: Home = None) -> None:
    """Show what a run logged: its steps, what it counted, how it ended."""
    with local.connected():
        from models import flow_runs

        found = flow_runs.get(run, by=OPERATOR)
    from dashboard import flow_logs

    lines = flow_logs.lines(found.prefect_id) if prefect_server.find(local.home()) else None
    if output.is_json():
        output.answer({"run": run, "lines": None if lines is None else [asdict(one) for one in lines]})
    elif lines is None:
        output.note(NO_LOG if found.prefect_id is None else "Prefect, which keeps the logs, does not answer just now.")
    else:
        for one in lines:
            output.say(f"{one.at.astimezone():%-d %b, %H:%M:%S}  {one.level:<8} {one.message}")


@group.command("run")
def run_now(job: JobName, as_json: Json = False, home: Home = None) -> None:
    """Have a job run once, now; the runner starts it within seconds."""
    with local.connected():
        from models import jobs

        run = jobs.run(job, by=OPERATOR)
    output.answer_or_say({"job": job, "run": run, "asked": True}, f"{job} begins within seconds. {_follow(run)}")


@group.command()
def cancel(run: RunId, as_json: Json = False, home: Home = None) -> None:
    """Stop a run."""
    with local.connected():
        from models import jobs

        jobs.cancel(run, by=OPERATOR)
    output.answer_or_say({"run": run, "cancelled": True}, f"Run {run} is stopped within seconds.")


@group.command()
def retry(run: RunId, as_json: Json = False, home: Home = None) -> None:
    """Do once more what failed, crashed or was cancelled."""
    with local.connected():
        from models import jobs

        again = jobs.retry(run, by=OPERATOR)
    told = f"What run {run} was to do is done again within a minute."
    told += f" {_follow(again)}" if again is not None else " `appointment360 jobs runs` shows it then."
    output.answer_or_say({"run": run, "again": again, "asked": True}, told)


@group.command()
def pause(job: JobName, as_json: Json = False, home: Home = None) -> None:
    """Let the schedule of a job rest: it runs only when somebody asks for it."""
    with local.connected():
        from models import flow_schedules

        flow_schedules.pause(job, by=OPERATOR)
    output.answer_or_say({"job": job, "paused": True}, f"{job} runs only when somebody asks for it.")


@group.command()
def resume(job: JobName, as_json: Json = False, home: Home = None) -> None:
    """Let a job run by its schedule again."""
    with local.connected():
        from models import flow_schedules

        flow_schedules.resume(job, by=OPERATOR)
    output.answer_or_say({"job": job, "paused": False}, f"{job} runs by its schedule again.")


def _follow(run: int) -> str:
    return f"It is run {run}: appointment360 jobs show {run}"


def _state(one: Schedule) -> str:
    if one.cron is None:
        return "off"
    if one.waits_since is not None:
        return "waits"
    return "paused" if one.paused else "on"


def _job(one: Schedule, last: Run | None) -> dict[str, Any]:
    told = {"job": one.flow, "schedule": one.cron, "time_zone": one.time_zone, "state": _state(one)}
    return told | {"next_at": one.next_at, "setting": one.setting, "last": _run(last) if last else None}


def _run(one: Run) -> dict[str, Any]:
    told = asdict(one)
    told["run"], told["job"] = told.pop("id"), told.pop("flow")
    del told["subject"]
    told["about"] = one.about
    return told | {"prefect_id": str(one.prefect_id) if one.prefect_id else None}
