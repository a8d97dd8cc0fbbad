"""docker-compose.yml, which is to try it: brought up as its head says, signed in to, and filled with the sample."""

from collections.abc import Iterator

import httpx
import pytest

from tests.production import compose
from tests.production.compose import TRIAL, Project
from tests.production.containers import podman

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]  # a first build has much to fetch
PASSWORD, PORT = "Zwiebel3Kuchen5Ofen", "18360"
CONTACTS = 537  # of the sample


@pytest.fixture(scope="module")
def trial() -> Iterator[Project]:
    compose.images()
    project = Project(TRIAL, "appointment360-trial-test", {"PASSWORD": PASSWORD, "PORT": PORT})
    project.down()
    try:
        project.up("database")
        project.compose("run", "--rm", "--no-deps", "-T", "migrate")
        project.up("prefect", "web", "worker")
        yield project
    finally:
        project.down()


@pytest.fixture(scope="module")
def signed_in(trial: Project) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}/api/v1", timeout=60) as client:
        answer = client.post("/sessions", json={"email": "admin@example.com", "password": PASSWORD})
        assert answer.is_success, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        yield client


def test_its_port_is_reached_from_this_machine_alone(trial: Project) -> None:
    published = podman("port", trial.container("web")).stdout.split()
    assert published == ["8360/tcp", "->", f"127.0.0.1:{PORT}"]


def test_whoever_knows_the_password_signs_in_and_nobody_else(signed_in: httpx.Client) -> None:
    assert signed_in.get("/sessions").is_success
    wrong = httpx.post(f"{signed_in.base_url}sessions", json={"email": "admin@example.com", "password": "another"})
    assert wrong.status_code == 401
    screens = httpx.get(f"http://127.0.0.1:{PORT}/")
    assert (screens.status_code, "<title>" in screens.text) == (200, True)


def test_the_sample_is_imported(trial: Project, signed_in: httpx.Client) -> None:
    trial.compose("--profile", "sample", "run", "--rm", "--no-deps", "-T", "sample")
    assert signed_in.get("/contacts?size=1&count=true").json()["total"] == CONTACTS
