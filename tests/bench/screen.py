"""A file's way in and out through the screens, as a person goes it: `appointment360 up` with a home of its own, an
upload in Chromium, the plan, the commit, the mirror that comes after it, and an export of all contacts. What the web
and the flows hold in memory meanwhile, and what is left of the disk, is looked at all the time.

The made-up file is deleted once it is uploaded, and the export is counted while it comes, and not kept.
"""

import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from playwright.sync_api import Locator, Page
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Column, Table

from tests.bench import data
from tests.bench.limits import Measured
from tests.dashboard import chromium
from tests.deploy.test_up import Machine
from tests.waiting import until

MB, GB = 2**20, 2**30
EVERY = 0.5  # seconds between two looks at memory and disk
LONGEST = 4 * 3600.0  # seconds of one step
PATIENCE = 60_000  # ms of what does not grow with the rows
TOKEN = "a-token-of-the-bench"
# What the page shows where an import or an export does not come further by itself.
STOPPED = re.compile(
    "It stopped in the middle|Contacts changed since the plan|could not be imported|was cancelled|by itself within a"
    " minute|not committed before somebody accepts|> failed: |took too long|went wrong"
)


@dataclass
class Phase:
    """`seconds` of it; the most bytes that the web held, and that one of the runner's flows held with its children; the
    least that was free on the disk, and what was free when it ended."""

    name: str
    seconds: float = 0.0
    web: int = 0
    flows: int = 0
    least: int = 0
    free: int = 0


@dataclass(frozen=True)
class Seen:
    """`phases` by name; `before` is what the web held before the upload, `after` when all is done. Bytes."""

    phases: dict[str, Phase]
    file: int
    contacts: int
    exported: int
    before: int
    after: int
    mirror: int
    kept: dict[str, int]


class Watched(Machine):
    """An `up` whose metrics can be read, and whose processes are looked at."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.address = f"http://127.0.0.1:{self.port}"
        self.phases: dict[str, Phase] = {}

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "APPOINTMENT360_METRICS_TOKEN": TOKEN}

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            with suppress(Exception):
                self.process.wait(120)
        self.kill()

    def metrics(self) -> dict[str, float]:
        answer = httpx.get(f"{self.address}/metrics", headers={"authorization": f"Bearer {TOKEN}"}, timeout=60)
        families = text_string_to_metric_families(answer.text)
        return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}

    def web_memory(self) -> int:
        return sum(_resident(psutil.Process(self.parts()["web"])))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Told when it is over, so that a long run shows where it is."""
        found, over = Phase(name, least=shutil.disk_usage(self.home).free), threading.Event()
        looking = threading.Thread(target=self._look, args=(found, over))
        looking.start()
        began = time.perf_counter()
        try:
            yield
        finally:
            found.seconds = time.perf_counter() - began
            over.set()
            looking.join()
        found.free = shutil.disk_usage(self.home).free
        self.phases[name] = found
        free, least = found.free / GB, found.least / GB
        print(f"{name}: {found.seconds:,.1f} s; {free:,.1f} GB are free, {least:,.1f} at least", flush=True)

    def _look(self, phase: Phase, over: threading.Event) -> None:
        """Also once it is over: a short one is looked at, too."""
        parts = self.parts()
        while True:
            with suppress(psutil.NoSuchProcess):
                phase.web = max(phase.web, sum(_resident(psutil.Process(parts["web"]))))
            with suppress(psutil.NoSuchProcess):
                for flow in psutil.Process(parts["runner"]).children():
                    family = (flow, *flow.children(recursive=True))
                    phase.flows = max(phase.flows, sum(sum(_resident(one)) for one in family))
            phase.least = min(phase.least, shutil.disk_usage(self.home).free)
            if over.wait(EVERY):
                return


def _resident(process: psutil.Process) -> Iterator[int]:
    with suppress(psutil.NoSuchProcess):
        yield process.memory_info().rss


def measure(folder: Path, rows: int) -> Seen:
    """In `folder`, where there is room for all of it."""
    file, machine = folder / "contacts.csv", Watched(folder / "home")
    print(f"{shutil.disk_usage(folder).free / GB:,.1f} GB are free", flush=True)
    try:
        machine.start()
        machine.saw("Prefect is ready")
        with machine.phase("the file is made up"):
            data.write(file, rows)
        with chromium.english_page(PATIENCE) as page:
            return _walk(machine, page, file)
    finally:
        machine.stop()


def _walk(machine: Watched, page: Page, file: Path) -> Seen:
    size = file.stat().st_size
    _sign_in(machine, page)
    before = machine.web_memory()
    _upload(machine, page, file)
    created = _import(machine, page)
    with machine.phase("mirror follows, after that"):
        until("the mirror follows", lambda: _follows(machine, created), within=LONGEST, every=0.1)
    shown = _contacts(machine, page)
    exported = _export(machine, page, shown)
    kept = {name: _bytes_in(machine.home / name) for name in ("imports", "exports", "mirror", "postgres")}
    mirror = int(machine.metrics()["appointment360_mirror_size_bytes"])
    if not created == shown == exported:
        raise RuntimeError(f"{created:,} contacts were imported, {shown:,} are shown, and {exported:,} were exported.")
    return Seen(machine.phases, size, shown, exported, before, machine.web_memory(), mirror, kept)


def _sign_in(machine: Watched, page: Page) -> None:
    password = re.search(r"^Password: +(\S+)$", machine.said, re.MULTILINE)
    if password is None:
        raise RuntimeError(f"No password was shown: {machine.said}")
    page.goto(machine.address)
    page.get_by_label("Work e-mail").fill("root@example.com")
    page.get_by_role("textbox", name="Password").fill(password[1])
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Overview").wait_for()


def _upload(machine: Watched, page: Page, file: Path) -> None:
    page.goto(f"{machine.address}/imports?new=1")
    page.get_by_role("button", name="Choose a file").wait_for()
    with machine.phase("upload"):
        page.locator("input[type=file]").set_input_files(file)
        _reached(page, page.get_by_text("Reading the file").or_(page.get_by_text("Match columns to fields")))
    file.unlink()


def _import(machine: Watched, page: Page) -> int:
    """From the uploaded file to the contacts; how many were created."""
    with machine.phase("opening"):
        _reached(page, page.get_by_role("button", name="Make the plan"))
    commit = page.get_by_role("button", name=re.compile(r"^Commit [\d,]+ changes$"))
    with machine.phase("staging, checks and plan"):
        page.get_by_role("button", name="Make the plan").click()
        _reached(page, commit)
    created = int(re.sub(r"\D", "", commit.inner_text()))
    with machine.phase("commit"):
        commit.click()
        _reached(page, page.get_by_role("button", name="See the imported contacts"))
    return created


def _follows(machine: Watched, contacts: int) -> bool:
    told = machine.metrics()
    return told["appointment360_mirror_following"] == 1 and told.get("appointment360_mirror_contacts") == contacts


def _contacts(machine: Watched, page: Page) -> int:
    """How many the contacts screen says that there are."""
    said = page.get_by_test_id("stCaptionContainer").filter(has_text=re.compile(r"^[\d,]+ contacts$")).first
    with machine.phase("contacts screen, from its address"):
        page.goto(f"{machine.address}/contacts")
        _reached(page, said)
    return int(re.sub(r"\D", "", said.inner_text()))


def _export(machine: Watched, page: Page, contacts: int) -> int:
    """All columns of all contacts, as CSV; how many came."""
    dialog, link = page.get_by_role("dialog"), page.get_by_role("link", name="Download")
    with machine.phase("export dialog"):
        page.get_by_role("button", name="Export", exact=True).click()
        _reached(page, dialog.get_by_text("All (", exact=False))
    dialog.get_by_text("All (", exact=False).click()
    with machine.phase("export"):
        dialog.get_by_role("button", name=f"Export {contacts:,} contacts").click()
        _reached(page, link.first)
    with machine.phase("download"):
        return _downloaded(machine, page, link.first.get_attribute("href") or "")


def _downloaded(machine: Watched, page: Page, path: str) -> int:
    """Counts the contacts of the file behind the link, with the browser's session. No made-up value breaks a line."""
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    lines = 0
    with httpx.stream("GET", httpx.URL(machine.address).join(path), cookies=cookies, timeout=600) as answer:
        answer.raise_for_status()
        for block in answer.iter_raw(MB):
            lines += block.count(b"\n")
    return lines - 1


def _reached(page: Page, wanted: Locator) -> None:
    """Waits as long as a large file takes. Raises RuntimeError with the page's words where it does not go on."""
    end = time.monotonic() + LONGEST
    while not wanted.first.is_visible():
        words = page.inner_text("body")
        if STOPPED.search(words) or time.monotonic() > end:
            raise RuntimeError(f"It does not go on:\n{words}")
        page.wait_for_timeout(250)


def _bytes_in(folder: Path) -> int:
    total = 0
    for one in folder.rglob("*"):
        with suppress(OSError):
            total += one.stat().st_blocks * 512 if one.is_file() else 0
    return total


def measured(seen: Seen) -> list[Measured]:
    phases = seen.phases.values()
    growth = seen.phases["upload"].web - seen.before
    return [
        Measured("the file", seen.file / 1e6, "MB"),
        Measured("contacts on the screen, and in the export", seen.contacts, ""),
        Measured("the web before the upload", seen.before / MB, "MB"),
        Measured("what it grew by during the upload", growth / MB, "MB", 300),
        Measured("the web at most", max(one.web for one in phases) / MB, "MB", 2048),
        Measured("the web at the end", seen.after / MB, "MB"),
        Measured("the flow of the import at most", max(seen.phases[name].flows for name in IMPORTING) / MB, "MB", 1024),
        Measured("the flow of the export at most", seen.phases["export"].flows / MB, "MB", 400),
        Measured("the mirror's file", seen.mirror / MB, "MB"),
        *(Measured(f"left in {name} of the home", number / MB, "MB") for name, number in seen.kept.items()),
    ]


IMPORTING = ("opening", "staging, checks and plan", "commit")


def show(seen: Seen) -> None:
    numbers = [Column(name, justify="right") for name in ("seconds", "web MB", "a flow MB", "disk: least", "after it")]
    table = Table("phase", *numbers)
    for one in seen.phases.values():
        free = (f"{number / GB:,.1f} GB" for number in (one.least, one.free))
        table.add_row(one.name, f"{one.seconds:,.1f}", f"{one.web // MB:,}", f"{one.flows // MB:,}", *free)
    Console(width=110).print(table)
