"""What a test does on a machine whose first process is systemd, and that podman holds."""

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from tests.production.containers import ROOT, podman, until

SAMPLE = ROOT / "tests" / "samples" / "legislators.csv"
CURRENT = "/opt/appointment360/current"
ASKING = """
import json, sys, urllib.error, urllib.request
method, address, token, body = json.load(sys.stdin)
head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "X-Forwarded-Proto": "https"}
asked = urllib.request.Request(address, body and body.encode(), head, method=method)
try:
    with urllib.request.urlopen(asked, timeout=60) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as error:
    sys.exit(f"{error.code} {error.read().decode()}")
"""


# As PID 1 of a real machine finds it; it is what hands credentials over to the units.
FIRST = "mount --make-rshared / && exec /usr/lib/systemd/systemd"


@dataclass
class Booted:
    name: str = field(default_factory=lambda: f"appointment360-{secrets.token_hex(4)}", kw_only=True)

    def end(self) -> None:
        podman("rm", "-f", "-t", "0", self.name, check=False)

    def run(self, *command: str, given: str | None = None, check: bool = True) -> str:
        return podman("exec", "-i", self.name, *command, given=given, check=check).stdout.strip()

    def state(self, unit: str, *of: str) -> dict[str, str]:
        lines = self.run("systemctl", "show", unit, *(f"--property={name}" for name in of)).splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def journal(self, unit: str = "*") -> str:
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit)

    def until(self, what: str, condition: Any) -> Any:
        return until(what, condition, lambda: self.run("journalctl", "--no-pager", "-n", "150"))

    def appointment360(self, *arguments: str) -> Any:
        return json.loads(self.run("/usr/local/bin/appointment360", *arguments, "--json"))

    def asked(self, method: str, port: int, path: str, token: str = "", body: str | None = None) -> Any:
        question = json.dumps([method, f"http://127.0.0.1:{port}{path}", token, body])
        return json.loads(self.run(f"{CURRENT}/bin/python", "-c", ASKING, given=question) or "null")

    def ready(self, port: int) -> bool:
        command = [f"{CURRENT}/bin/python", "-m", "deploy.healthy", f"http://127.0.0.1:{port}/readyz"]
        return self.run(*command, check=False) == "healthy"


def uploaded(machine: Booted, token: str, name: str) -> int:
    """The number of an import of the sample, once a worker opened its file."""
    text = SAMPLE.read_text()
    begun = machine.asked(
        "POST", 8361, "/api/v1/imports", token, json.dumps({"name": name, "size": len(text.encode())})
    )
    number = int(begun["import_id"])
    machine.asked("PUT", 8361, f"/api/v1/imports/{number}/parts/1", token, text)
    machine.asked("POST", 8361, f"/api/v1/imports/{number}/upload/complete", token, "{}")
    machine.until("it was opened", lambda: at_rest(machine, token, number, "opened", "planned"))
    return number


def at_rest(machine: Booted, token: str, number: int, *states: str) -> dict[str, Any] | None:
    found = machine.asked("GET", 8361, f"/api/v1/imports/{number}", token)
    return found if found["state"] in states and not found["progress"] else None
