"""What people, Prometheus and balancers are told of an instance's mirror of contacts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from dashboard import mirror_metrics
from models.contacts import columnar, mirror, mirror_source, own_mirror, records
from models.contacts.columnar import Columnar
from models.contacts.mirror import Mirror
from models.contacts.own_mirror import Phase, Progress
from models.database import writing
from models.permissions import OPERATOR, Role
from tests.dashboard.conftest import Site, served
from tests.waiting import until

Screen = Callable[..., AppTest]
TOKEN = "a-token-of-the-monitoring"
SHOWN = {"authorization": f"Bearer {TOKEN}"}
HALF = Progress(Phase.LOADING, 3_400_000, 10_000_000)
NOTICE = "Counts get faster in a moment"


@contextmanager
def standing(folder: Path, progress: Progress) -> Iterator[Mirror]:
    made = Mirror(folder, threads=1, memory="200MB")
    made.progress = progress
    with own_mirror.having(made):
        yield made


def notices(shown: AppTest) -> list[str]:
    return [one.value for one in shown.caption if NOTICE in one.value]


@pytest.mark.parametrize("place", ["contacts", "overview"])
def test_who_browses_sees_how_far_it_is(screen: Screen, site: Site, tmp_path: Path, place: str) -> None:
    records.create({"last_name": "Quiet"}, by=OPERATOR)
    with standing(tmp_path, HALF) as made:
        shown = screen(Role.MANAGER, at=place)
        assert not shown.exception
        assert notices(shown) == [f":material/speed: {NOTICE}: 3,400,000 of 10,000,000 contacts are read"]
        made.progress = Progress(Phase.LOADING, 200_000, 0)
        assert notices(shown.run()) == [f":material/speed: {NOTICE}: 200,000 contacts are read"]
        for silent in (
            Progress(Phase.WAITING),
            Progress(Phase.FOLLOWING),
            Progress(Phase.LOADING, 400, 900),
            Progress(Phase.OFF, fault=mirror.OTHER_CAPITALS),
        ):
            made.progress = silent
            assert notices(screen(Role.MANAGER, at=place)) == []
    assert notices(screen(Role.MANAGER, at=place)) == []


def card(screen: Screen) -> str:
    shown = screen(Role.ADMIN, at="performance")
    assert not shown.exception
    [found] = [one.value for one in shown.markdown if one.value.startswith(":") and "badge[" in one.value][:1]
    return found


def test_who_looks_after_the_server_sees_its_state(screen: Screen, site: Site, tmp_path: Path) -> None:
    assert card(screen).startswith(":gray-badge[Off] APPOINTMENT360\\_MIRROR is off")
    with standing(tmp_path, HALF) as made, duckdb.connect() as engine:
        mine, of_another_instance = tmp_path / "one.duckdb", tmp_path / "two.duckdb"
        for one in (mine, of_another_instance):
            one.write_bytes(bytes(2_100_000))
        made._loading = Columnar(mine, engine, columnar.columns(frozenset()))
        assert card(screen) == ":blue-badge[Loads] 3,400,000 of 10,000,000 contacts are read · 2.1 MB on disk"
        made.progress = Progress(Phase.WAITING, fault="The disk is full.")
        assert card(screen).startswith(":yellow-badge[Waits] The disk is full")
        made.progress = Progress(Phase.OFF, fault=mirror.OTHER_CAPITALS)
        assert card(screen).startswith(":red-badge[Given up] The database writes capitals small in a way of its own")
    records.create({"last_name": "Followed"}, by=OPERATOR)
    with mirror.held(tmp_path / "held", threads=1, memory="200MB") as held:
        assert held.wait(60)
        assert card(screen).startswith(":green-badge[Follows] **")
        assert "contacts** · " in card(screen) or "contact** · " in card(screen)


def test_one_that_gives_up_says_why(
    screen: Screen, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_source, "has_usual_capitals", lambda session: False)
    with mirror.held(tmp_path, threads=1, memory="200MB") as held:
        until("it gives up", lambda: held.progress.phase is Phase.OFF)
        assert mirror_metrics.part() == f"off: {mirror.OTHER_CAPITALS}"
        assert samples()["appointment360_mirror_following"] == 0
        assert samples()["appointment360_mirror_phase off"] == 1


def samples() -> dict[str, float]:
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in mirror_metrics.Mirror().collect()
        for sample in family.samples
    }


def test_without_one_there_is_no_metric() -> None:
    assert samples() == {}
    assert mirror_metrics.part() == "off"


def test_a_web_tells_of_its_mirror(site: Site, tmp_path: Path) -> None:
    records.create({"last_name": "Measured"}, by=OPERATOR)
    with writing(OPERATOR) as session:
        contacts = session.scalar(text("SELECT count(*) FROM contacts"))
    with served(site.url, tmp_path, APPOINTMENT360_METRICS_TOKEN=TOKEN) as address:
        until("it follows", lambda: read(address).get("appointment360_mirror_following") == 1)
        found = read(address)
        on_disk = sum(
            file.stat().st_size for file in (tmp_path / "mirror").glob("*.duckdb*")
        )  # it grows as it is closed
        parts = httpx.get(f"{address}/readyz", headers=SHOWN).json()["parts"]
        nobody = httpx.get(f"{address}/readyz")
    assert found["appointment360_mirror_contacts"] == contacts
    assert found["appointment360_mirror_size_bytes"] == on_disk > 0
    assert found["appointment360_mirror_phase following"] == 1
    assert sum(value for name, value in found.items() if name.startswith("appointment360_mirror_phase")) == 1
    assert 0 <= found["appointment360_mirror_behind_seconds"] < 60
    assert parts["mirror"] == "following"
    assert nobody.json() == {"status": "ok"}


def test_a_web_without_one_is_ready(site: Site, tmp_path: Path) -> None:
    more = {"APPOINTMENT360_METRICS_TOKEN": TOKEN, "APPOINTMENT360_MIRROR": "off"}
    with served(site.url, tmp_path, **more) as address:
        answer = httpx.get(f"{address}/readyz", headers=SHOWN)
        assert (answer.status_code, answer.json()["parts"]["mirror"]) == (200, "off")
        assert not [name for name in read(address) if "mirror" in name]


def read(address: str) -> dict[str, float]:
    answer = httpx.get(f"{address}/metrics", headers=SHOWN)
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
