"""What .ci/audit makes of what its tools find. The tools themselves run in .ci/run, with the rules' own examples."""

import json
import re
import sys
from datetime import date
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
RULES = sorted((ROOT / ".ci/semgrep").glob("*.yml"))
TODAY = date(2026, 11, 27)
WEAK = {
    "name": "tinypng", "version": "1.0",
    "vulns": [{"id": "PYSEC-2026-7", "aliases": ["CVE-2026-1"], "fix_versions": ["1.1"], "description": "…"}],
}  # fmt: skip
SOUND = {"name": "sound", "version": "2.0", "vulns": []}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found"}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    loader = SourceFileLoader("audit", str(ROOT / ".ci/audit"))
    spec = spec_from_loader("audit", loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules["audit"] = module  # where its dataclasses look for their annotations
    loader.exec_module(module)
    return module


def report(*packages: dict[str, Any]) -> dict[str, Any]:
    return {"dependencies": list(packages), "fixes": []}


def allowance(until: date, name: str = "CVE-2026-1", package: str = "tinypng") -> list[dict[str, Any]]:
    return [{"id": name, "package": package, "reason": "We draw nothing.", "until": until}]


def test_where_nobody_answers_nothing_is_called_sound(audit: ModuleType) -> None:
    for asked, number in ((None, 214), (report(UNKNOWN, UNKNOWN), 2)):
        found = audit.dependencies(asked, [], 214 if asked is None else 2, TODAY)
        assert not found.failed
        assert found.verdict == "NOT LOOKED AT"
        assert any(line.startswith(f"not audited: {number} packages.") for line in found.lines)


def test_those_not_audited_are_named_beside_those_audited(audit: ModuleType) -> None:
    found = audit.dependencies(report(SOUND, UNKNOWN), [], 5, TODAY)
    assert found.verdict == "passed"
    assert found.lines == [
        "audited: 1 packages",
        "not audited: 1 packages. The advisory service does not know them, or is away.",
        "  ours",
        "not audited: 3 packages of other systems, which are not installed here",
    ]


def test_a_known_weakness_fails_and_says_what_mends_it(audit: ModuleType) -> None:
    found = audit.dependencies(report(SOUND, WEAK), [], 2, TODAY)
    assert found.verdict == "FAILED"
    assert found.lines[-1] == "tinypng 1.0: PYSEC-2026-7, CVE-2026-1; mended in 1.1"


@pytest.mark.parametrize("name", ["PYSEC-2026-7", "CVE-2026-1"])
def test_an_allowed_weakness_passes_until_its_day(audit: ModuleType, name: str) -> None:
    found = audit.dependencies(report(WEAK), allowance(TODAY, name), 1, TODAY)
    assert found.verdict == "passed"
    assert "We draw nothing." in found.lines[-1]
    late = audit.dependencies(report(WEAK), allowance(date(2026, 11, 26), name), 1, TODAY)
    assert late.verdict == "FAILED"
    assert "was allowed until 2026-11-26" in late.lines[-1]


def test_an_allowance_counts_for_its_package_only(audit: ModuleType) -> None:
    assert audit.dependencies(report(WEAK), allowance(TODAY, package="other"), 1, TODAY).failed


def test_the_allowances_have_a_reason_and_a_day(audit: ModuleType) -> None:
    text = (ROOT / ".ci/audit-allowed.toml").read_text()
    example = re.sub("^# ?", "", text[text.index("# [[allowed]]") :], flags=re.M)
    for one in audit.tomllib.loads(text).get("allowed", []) + audit.tomllib.loads(example)["allowed"]:
        assert set(one) == {"id", "package", "reason", "until"}
        assert one["reason"].strip()
        assert isinstance(one["until"], date)


def secret(value: str, line: int = 1, kind: str = "Secret Keyword") -> dict[str, Any]:
    return {"type": kind, "hashed_secret": value, "line_number": line}


def test_a_secret_is_new_by_its_file_and_value_not_by_its_line(audit: ModuleType) -> None:
    known = {"results": {"models/a.py": [secret("aa")]}}
    assert not audit.new_secrets({"results": {"models/a.py": [secret("aa", line=9)]}}, known).failed
    for path, value in (("models/a.py", "bb"), ("models/b.py", "aa")):
        found = audit.new_secrets({"results": {path: [secret(value, line=4)]}}, known)
        assert found.failed
        assert found.lines[0] == f"{path}:4: Secret Keyword"


def test_people_of_tests_have_passwords_and_no_keys(audit: ModuleType) -> None:
    nothing: dict[str, Any] = {"results": {}}
    assert not audit.new_secrets({"results": {"tests/test_a.py": [secret("aa")]}}, nothing).failed
    assert audit.new_secrets({"results": {"tests/test_a.py": [secret("aa", kind="AWS Access Key")]}}, nothing).failed


def test_somebody_looked_at_each_known_secret() -> None:
    baseline = json.loads((ROOT / ".ci/secrets.baseline").read_text())
    each = [(path, one) for path, those in baseline["results"].items() for one in those]
    assert each
    assert [path for path, one in each if one.get("is_secret") is not False] == []


@pytest.mark.parametrize("rules", RULES, ids=lambda path: path.stem)
def test_each_rule_has_an_example_that_it_finds_and_one_that_it_leaves(rules: Path) -> None:
    examples = rules.with_suffix(".py").read_text()
    found, left = (set(re.findall(rf"# {kind}: (.*)", examples)) for kind in ("ruleid", "ok"))
    named = {one["id"] for one in yaml.safe_load(rules.read_text())["rules"]}
    assert {name.strip() for line in found for name in line.split(",")} == named
    assert {name.strip() for line in left for name in line.split(",")} <= named


@pytest.mark.parametrize("rules", RULES, ids=lambda path: path.stem)
def test_the_modules_that_a_rule_names_exist(rules: Path) -> None:
    named = [
        path
        for one in yaml.safe_load(rules.read_text())["rules"]
        for kind in ("include", "exclude")
        for path in one.get("paths", {}).get(kind, [])
    ]
    assert [path for path in named if not (ROOT / path.lstrip("/")).exists()] == []


def test_no_sql_from_strings_is_allowed_in_the_dashboard() -> None:
    rule = yaml.safe_load((ROOT / ".ci/semgrep/sql.yml").read_text())["rules"][0]
    assert [path for path in rule["paths"]["exclude"] if path.startswith("/dashboard")] == []


def test_the_tools_are_locked_by_hash_and_hold_no_address() -> None:
    text = (ROOT / ".ci/audit-tools.txt").read_text()
    assert "://" not in text
    pins = re.findall(r"^([a-z0-9][^\s;=]*)==[^\\]*\\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.M)
    assert len(pins) == len(re.findall(r"^[a-z0-9].*==", text, re.M))
    assert {"bandit", "detect-secrets", "pip-audit", "semgrep"} <= {name for name, _ in pins}
