"""Images and containers by podman, where neither a registry nor a Docker engine is.

Their storage is a folder of its own, which is kept between runs: the machine's own images are left alone, and only the
first run makes the base. That stands under the very name of the Dockerfile's FROM: Debian from this machine's mirror,
with Debian's Python in the place where the real one has it, so that the Dockerfile is built unchanged.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models import kernel_locks
from tests import waiting

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
DOCKERFILE = DOCKER / "Dockerfile"
STORAGE = Path("/var/tmp/appointment360-containers")
IMAGE = "localhost/appointment360:test"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PACKAGES = "ca-certificates,netbase,tzdata,python3.13,python3.13-venv"
KEPT = "168h"  # what no image needs any more may help the next build for a week
LONGEST = 300.0  # seconds until something must have happened
ENGINE = """\
[containers]
# Without CAP_SYS_RESOURCE podman's own limits, a million each, may not be set.
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
[engine]
runtime = "runc"  # crun refuses the hybrid of both kinds of cgroups
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


def environment() -> dict[str, str]:
    """Which podman and whatever calls it must have."""
    STORAGE.mkdir(exist_ok=True)
    _kept(STORAGE / "containers.conf", ENGINE)
    storage = f'[storage]\ndriver = "overlay"\ngraphroot = "{STORAGE}/images"\nrunroot = "{STORAGE}/run"\n'
    _kept(STORAGE / "storage.conf", storage)
    return os.environ | {
        "CONTAINERS_CONF": str(STORAGE / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(STORAGE / "storage.conf"),
    }


def _kept(file: Path, text: str) -> None:
    """Not written anew each time: another run's podman would read half of it."""
    if not file.exists() or file.read_text() != text:
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_text(text)
        fresh.replace(file)


def podman(*arguments: str | Path, given: str | None = None, check: bool = True) -> "subprocess.CompletedProcess[str]":
    command = ["podman", *map(str, arguments)]
    done = subprocess.run(command, env=environment(), input=given, capture_output=True, text=True, cwd=ROOT)
    assert not check or done.returncode == 0, (
        f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return done


def inspected(kind: str, name: str) -> dict[str, Any]:
    found = json.loads(podman(kind, "inspect", name).stdout)
    return dict(found[0])


def until(what: str, condition: Callable[[], Any], said: Callable[[], str] = str) -> Any:
    """What the condition found; `said` tells what was logged meanwhile."""
    return waiting.until(what, condition, said, within=LONGEST, every=0.5)  # a look is a process, in a container


def built(name: str = IMAGE) -> str:
    """The image of deploy/docker/Dockerfile as the working tree has it."""
    with kernel_locks.held(STORAGE.with_suffix(".lock")):
        base()
        podman("build", "--format", "docker", *from_this_machine(), "-f", DOCKERFILE, "-t", name, ".")
        prune()
    return name


def prune() -> None:
    """Remove what builds of before left: images, and layers of them, that have no name, no container and no heir."""
    podman("image", "prune", "--force", "--filter", f"until={KEPT}")


def stand_in(name: str, dockerfile: str, files: dict[str, str]) -> str:
    """An image under a name that a registry has, of what Debian and PyPI have."""
    folder = STORAGE / "stand-ins" / re.sub(r"\W+", "-", name)
    with kernel_locks.held(STORAGE.with_suffix(".lock")):
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (folder / file).write_text(content)
        (folder / "Dockerfile").write_text(dockerfile)
        podman("build", "--format", "docker", *from_this_machine(), "-t", name, folder)
    return name


def from_this_machine() -> list[str]:
    """Where this machine has its packages from, and whom it trusts, for as long as something is built."""
    told = ["--pull=never", "--network", "host"]
    if CERTIFICATES.is_file():
        told += ["-v", f"{CERTIFICATES}:{CERTIFICATES}:ro"]
    for name, place in (("PIP_INDEX_URL", "/etc/pip.conf"), ("UV_DEFAULT_INDEX", "/etc/uv/uv.toml")):
        if index := os.environ.get(name):
            own = STORAGE / Path(place).name
            own.write_text(f"[global]\nindex-url = {index}\n" if name.startswith("PIP") else f'index-url = "{index}"\n')
            told += ["-v", f"{own}:{place}:ro"]
    return told


def bases() -> set[str]:
    """The images that the Dockerfile takes from a registry."""
    text = DOCKERFILE.read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.M))
    return set(re.findall(r"^FROM (\S+)", text, re.M)) - stages


def base() -> str:
    """The image that the Dockerfile begins with."""
    (name,) = bases()
    full = f"docker.io/library/{name}"
    if podman("image", "exists", full, check=False).returncode == 0:
        return full
    suite = name.rpartition("-")[2]
    folder = STORAGE / "base"
    shutil.rmtree(folder, ignore_errors=True)
    made = ["eatmydata", "debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(folder), _mirror()]
    done = subprocess.run(made, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    # Debian's Python lies in /usr/bin and guards its packages; the real image has one that is free, in /usr/local.
    subprocess.run(["chroot", folder, "python3.13", "-m", "venv", "/usr/local"], check=True, capture_output=True)
    left = ["--exclude=./var/cache/apt", "--exclude=./var/lib/apt/lists", "--exclude=./usr/share/doc"]
    subprocess.run(["tar", "-C", folder, *left, "-cf", STORAGE / "base.tar", "."], check=True)
    podman("import", STORAGE / "base.tar", full)
    shutil.rmtree(folder)
    (STORAGE / "base.tar").unlink()
    return full


def _mirror() -> str:
    """The one that this machine's own packages come from."""
    asked = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^Debian Debian (\S+)$", listed, re.M)[0]
