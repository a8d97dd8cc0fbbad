"""deploy/SECURITY.md says what is so: its tests exist, its numbers are those of the code, and no item is missing."""

import re
from datetime import timedelta
from math import log2
from pathlib import Path

import pytest

from dashboard import security_txt
from models import passwords, second_factors, sign_in_failures, sign_ins
from models.link_tokens import Purpose
from models.secret_files import is_secret
from models.settings import Settings

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "deploy/SECURITY.md").read_text()
# Of each section of OWASP ASVS 5.0.0 how many items levels 1 and 2 have: within a section they come before level 3's.
ITEMS = {
    "1.1": 2, "1.2": 9, "1.3": 11, "1.4": 3, "1.5": 2, "2.1": 3, "2.2": 3, "2.3": 4, "2.4": 1, "3.2": 2, "3.3": 4,
    "3.4": 6, "3.5": 5, "3.7": 2, "4.1": 3, "4.2": 1, "4.3": 2, "4.4": 4, "5.1": 1, "5.2": 3, "5.3": 2, "5.4": 3,
    "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4, "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5,
    "7.5": 2, "7.6": 2, "8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1, "9.1": 3, "9.2": 4, "10.1": 2, "10.2": 2, "10.3": 4,
    "10.4": 11, "10.5": 5, "10.6": 2, "10.7": 3, "11.1": 2, "11.2": 3, "11.3": 3, "11.4": 4, "11.5": 1, "11.6": 1,
    "12.1": 3, "12.2": 2, "12.3": 4, "13.1": 1, "13.2": 5, "13.3": 2, "13.4": 5, "14.1": 2, "14.2": 4, "14.3": 3,
    "15.1": 3, "15.2": 3, "15.3": 7, "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 3, "17.1": 1, "17.2": 4,
    "17.3": 2,
}  # fmt: skip
VERDICTS = ("met", "partly", "not met", "n/a")


def section(title: str) -> str:
    _, found, after = TEXT.partition(f"\n## {title}\n")
    assert found, title
    return " ".join(after.partition("\n## ")[0].split())


def items() -> list[tuple[str, str, str, str]]:
    """Number, verdict, how, and what shows it, of each line of the table."""
    table = TEXT[TEXT.index("\n## OWASP ASVS") :]
    found = []
    for line in re.findall(r"^\| \d.*$", table, re.MULTILINE):
        number, _, verdict, how, shown = (cell.strip() for cell in line.strip("|").split("|"))
        found.append((number, verdict, how, shown))
    return found


def test_each_item_of_levels_one_and_two_has_one_line_in_order() -> None:
    wanted = [f"{name}.{number}" for name, many in ITEMS.items() for number in range(1, many + 1)]
    assert len(wanted) == 253  # 70 of level 1, and 183 of level 2
    assert [number for number, *_ in items()] == wanted


def test_each_line_says_whether_and_how() -> None:
    for number, verdict, how, shown in items():
        assert verdict in VERDICTS, number
        assert how or shown, f"{number} says neither how nor where it is seen"
        assert how or verdict == "met", f"{number} gives no reason"
        assert shown or verdict != "met", f"{number} is met, and nothing shows it"


def test_the_sum_is_that_of_the_lines() -> None:
    many = {verdict: sum(one == verdict for _, one, *_ in items()) for verdict in VERDICTS}
    said = f"Of 253 items {many['met']} are met, {many['partly']} partly, {many['not met']} not, and {many['n/a']} are"
    assert said in " ".join(TEXT.split())


def test_the_tests_that_it_names_exist() -> None:
    named = set(re.findall(r"`(tests/[^`]*)::(\w+)`", TEXT))
    assert len(named) > 100
    missing = [
        f"{path}::{name}"
        for path, name in sorted(named)
        if not re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)
    ]
    assert missing == []
    shown = {one for *_, cell in items() for one in re.findall(r"`([^`]*)`", cell)}
    assert shown <= {f"{path}::{name}" for path, name in named}


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:deploy|\.ci|models)/[\w./-]+)`", TEXT))))
def test_the_files_that_it_names_exist(path: str) -> None:
    assert (ROOT / path).exists()


def test_what_signing_in_says_is_what_the_code_does() -> None:
    said = section("Signing in")
    chosen = Settings.model_construct()  # nothing but the defaults
    session, factor = sign_ins.LASTS[sign_ins.SESSION], sign_ins.LASTS[sign_ins.FACTOR]
    one, two, three = (wait // timedelta(minutes=1) for wait in sign_in_failures.WAITS)
    for words in (
        f"at least {passwords.LEAST} characters",
        f"the first {passwords.GUESSES:,} that are guessed",
        f"After {sign_in_failures.TRIES} failures in a row an account waits {one}, then {two}, then {three} minutes",
        f"never waits longer than {three} minutes",
        f"forgotten after {sign_in_failures.FORGOTTEN // timedelta(hours=1)} hours",
        f"may fail {sign_in_failures.ADDRESS_TRIES} times within "
        f"{sign_in_failures.ADDRESS_WINDOW // timedelta(minutes=1)} minutes",
        f"`failures_per_hour` ({chosen.failures_per_hour})",
        f"`session_hours` ({chosen.session_hours})",
        f"`stay_days` ({chosen.stay_days})",
        f"`idle_hours` ({chosen.idle_hours})",
        f"`admin_idle_hours` ({chosen.admin_idle_hours})",
        f"{session.seconds} seconds or {factor.seconds // 60} minutes",
        f"an invitation {Purpose.INVITATION.lasts.days} days",
        f"other links {Purpose.RESET.lasts // timedelta(hours=1)} hour;",
        f"shown for {second_factors.STEP} seconds",
        f"there are {second_factors.RECOVERY_CODES} recovery codes of "
        f"{int(log2(len(second_factors.ALPHABET))) * second_factors.GROUP * second_factors.GROUPS} bits",
        *(f"the word “{word}”" for word in passwords.OURS),
    ):
        assert words in said, words
    assert "bcrypt with cost 12" in said  # tests lower passwords.ROUNDS
    assert re.search(r"^ROUNDS = 12\b", (ROOT / "models/passwords.py").read_text(), re.MULTILINE)


def test_each_secret_of_the_settings_is_in_the_inventory() -> None:
    secrets = {name for name, field in Settings.model_fields.items() if is_secret(field)}
    table = TEXT[TEXT.index("\n## Keys") : TEXT.index("\n## What it speaks to")]
    named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(named) == sorted(secrets)


def test_the_settings_that_it_names_exist() -> None:
    for named in ("max_upload", "trusted_proxies", "private_networks", "s3_endpoint", "days_kept_audit"):
        assert f"`{named}`" in TEXT
        assert named in Settings.model_fields


def test_what_it_speaks_to_is_written_down() -> None:
    said = section("What it speaks to")
    for other in ("Postgres", "Prefect", "S3", "mail server", "Razorpay"):
        assert other in said


def test_how_long_a_report_is_worth_reading() -> None:
    assert f"ends after {security_txt.LASTS.days} days" in section("Reporting a weakness")


def test_the_threats_name_every_boundary() -> None:
    said = section("Threats")
    for boundary in (
        "browser – nginx", "nginx – web", "web – screens and API", "files coming in", "files going out",
        "web and workers – Postgres", "web and workers – Prefect", "S3 and backups", "Razorpay – web", "SMTP",
        "operator and supply chain",
    ):  # fmt: skip
        assert f"| {boundary} |" in said
    assert section("What is worth protecting").count("| ") > 24


def test_the_days_of_dependencies_are_written_down() -> None:
    assert re.search(r"within 7 days, any other within 30", section("Dependencies"))
    assert "at least every 90 days" in section("Dependencies")


def test_what_is_logged_is_written_down() -> None:
    said = section("Logs")
    for log in ("audit log", "the program's", "nginx's", "Prefect's", "Postgres's"):
        assert f"| {log} |" in said


def test_our_scripts_take_no_key_from_elsewhere() -> None:
    """Nothing is put under a computed key, and no object's own keys are walked through to write another one."""
    scripts = sorted((ROOT / "dashboard").rglob("*.js"))
    assert {"pay.js", "upload.js", "chart_picture.js", "docs.js"} <= {one.name for one in scripts}
    written = re.compile(
        r"\w\[[^\]]*\]\s*(\?\?|\|\||&&)?=[^=]|__proto__|prototype|defineProperty|Reflect\.|for \([^)]* in "
    )
    assert [(one.name, found[0]) for one in scripts for found in written.finditer(one.read_text())] == []
