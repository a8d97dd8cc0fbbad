"""`report` and `house`: what somebody runs at the command line is a run among the jobs, and one at a time."""

import pytest

from models import flow_runs
from models.flow_runs import RunState
from models.permissions import OPERATOR
from pipelines.recorded import recorded
from tests.deploy.command_line import Cli


@pytest.mark.parametrize(("command", "flow"), [("report", "report-performance"), ("house", "keep-house")])
def test_it_is_a_run_among_the_jobs(cli: Cli, command: str, flow: str) -> None:
    made = cli(command, "--json").object
    [run] = flow_runs.page(flow=flow, by=OPERATOR)
    assert (run.state, run.counts["report"], run.scheduled) == (RunState.DONE, made["report_id"], False)
    with recorded(flow, alone=True):
        refused = cli(command)
    assert (refused.code, "runs already" in refused.err) == (1, True)
    assert len(flow_runs.page(flow=flow, by=OPERATOR)) == 2
