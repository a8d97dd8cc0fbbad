"""What the benchmark itself promises: it says of every limit whether it is kept, and its exit code says so, too."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import limits, people, screen
from tests.bench.limits import Measured
from tests.bench.people import Waited
from tests.bench.screen import Phase, Seen
from tests.dashboard.conftest import ROOT, Site
from tests.dashboard.conftest import site as site


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.95, 95), (0.951, 96), (1, 100)])
def test_a_share_of_the_measured_times(share: float, expected: int) -> None:
    assert limits.milliseconds([n / 1000 for n in range(100, 0, -1)], share) == pytest.approx(expected)


def test_every_limit_gets_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    measured = [Measured("one", 2000, "ms", 2000), Measured("two", 601, "MB", 600), Measured("three", 9, "ms")]
    assert [one.kept for one in measured] == [True, False, True]
    assert not limits.show("told", measured)
    told = capsys.readouterr().out
    assert ("2,000 ms │ kept" in told, "600 MB │ MISSED" in told, told.count("kept")) == (True, True, 1)


@pytest.mark.parametrize(("browses", "kept", "code"), [(True, True, 0), (True, False, 1), (False, False, 1)])
def test_a_missed_limit_is_the_exit_code(monkeypatch: pytest.MonkeyPatch, browses: bool, kept: bool, code: int) -> None:
    @contextmanager
    def nothing(_: object) -> Iterator[Path]:
        yield Path()

    monkeypatch.setattr(sys, "argv", ["bench", *(["--browse"] if browses else [])])
    monkeypatch.setattr(bench, "_home", nothing)
    monkeypatch.setattr(bench, "_server", nothing)
    monkeypatch.setattr(bench, "browsing_of" if browses else "moving", lambda *_: kept)
    with pytest.raises(SystemExit) as ended:
        bench.main()
    assert ended.value.code == code


def test_it_starts_without_a_word_from_streamlit() -> None:
    """Its caches warn where no web is running."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    asked = [sys.executable, "-m", "tests.bench", "--help"]
    assert subprocess.run(asked, env=environment, capture_output=True, check=True, text=True).stderr == ""


def test_people_click_at_once(site: Site, tmp_path: Path) -> None:
    waited = people.measure(site.url, tmp_path, people=3, rounds=2)
    assert (len(waited.rows), len(waited.everything)) == (6, 6)
    assert all(0 < rows < everything for rows, everything in zip(waited.rows, waited.everything, strict=True))
    assert waited.web_memory > 50_000_000


def test_what_people_waited_is_judged_by_their_rows() -> None:
    told = people.measured(Waited(rows=[1.0] * 19 + [3.0], everything=[9.0] * 20, web_memory=2100 * 2**20))
    assert [(one.what, one.value) for one in told if not one.kept] == [("memory of the web meanwhile", 2100)]


def test_what_the_way_through_the_screens_held_is_judged() -> None:
    names = ("upload", "opening", "staging, checks and plan", "commit", "export")
    phases = {name: Phase(name, web=600 * 2**20, flows=500 * 2**20) for name in names}
    seen = Seen(phases, file=1, contacts=1, exported=1, before=299 * 2**20, after=1, mirror=1, kept={"imports": 1})
    assert [(one.what, one.value) for one in screen.measured(seen) if not one.kept] == [
        ("what it grew by during the upload", 301),
        ("the flow of the export at most", 500),
    ]
