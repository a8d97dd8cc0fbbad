"""What the messages say, in plain text: a subject, and sentences."""

from enum import StrEnum
from typing import Any

from models.settings import settings

SIGNATURE = "Appointment360"
# That texts may have.
DETAILS = (
    "new", "old", "view", "file", "rows", "credits", "error", "place", "further", "flow", "number", "broken", "report",
)  # fmt: skip


class Kind(StrEnum):
    INVITATION = "invitation"
    RESET = "reset"
    EMAIL = "email"
    PASSWORD_CHANGED = "password changed"  # noqa: S105
    EMAIL_CHANGED = "e-mail changed"
    SECOND_FACTOR_ADDED = "second factor added"
    SECOND_FACTOR_REMOVED = "second factor removed"
    FILE_IMPORTED = "file imported"
    FILE_WAITS = "file waits"
    FILE_FAILED = "file failed"
    FOLDER_TROUBLE = "folder trouble"
    VIEW_EXPORTED = "view exported"
    VIEW_EXPORT_FAILED = "view export failed"
    BACKUP_TROUBLE = "backup trouble"
    DISK_LOW = "disk low"
    PERFORMANCE_REPORT = "performance report"
    CHECKS_BROKEN = "checks broken"
    FLOW_FAILED = "job failed"


def text_of(kind: str, *, name: str, email: str, link: str | None, details: dict[str, Any] | None) -> tuple[str, str]:
    """Subject and text of a message of that kind (one of Kind); `link` where it carries one."""
    subject, text = TEXTS[kind]
    known = {"by": "An administrator", "web": settings().address, **dict.fromkeys(DETAILS, "")} | (details or {})
    body = text.strip().format(name=name, email=email, link=link, **known)
    return subject.format(**known), f"Hello {name},\n\n{body}\n\n{SIGNATURE}\n"


TEXTS: dict[str, tuple[str, str]] = {
    Kind.BACKUP_TROUBLE: (
        "The backups need you",
        """
{error}

See {web}/backups. You are told again only when it was in order in between.
""",
    ),
    Kind.DISK_LOW: (
        "A disk is getting full",
        """
{error}

What may go, and what holds how much: {web}/housekeeping. You are told again only when there was room in between.
""",
    ),
    Kind.INVITATION: (
        "Your invitation to Appointment360",
        """
{by} has invited you to Appointment360, the contact database. Open this link and choose a password:

{link}

The link works once, for 7 days. You then sign in as {email}.
""",
    ),
    Kind.RESET: (
        "Choose a new password for Appointment360",
        """
Somebody, probably you, asked for a new password for {email}. Open this link and choose one:

{link}

The link works once, for 1 hour. If you did not ask for it, you need not do anything: your password stays as it is.
""",
    ),
    Kind.EMAIL: (
        "Confirm your new e-mail for Appointment360",
        """
You asked to sign in to Appointment360 with this address from now on, instead of {email}. Open this link to confirm it:

{link}

The link works once, for 1 hour. If you did not ask for it, you need not do anything.
""",
    ),
    Kind.PASSWORD_CHANGED: (
        "Your password for Appointment360 was changed",
        """
The password of {email} was just changed. Wherever else somebody was signed in with the old one, they no longer are.

If that was not you, choose a new password with "Forgot the password?" on the sign-in page, and tell an administrator.
""",
    ),
    Kind.EMAIL_CHANGED: (
        "Your e-mail for Appointment360 was changed",
        """
Your account now has the e-mail {new} instead of {old}. You sign in with the new one.

If that was not you, tell an administrator at once.
""",
    ),
    Kind.SECOND_FACTOR_ADDED: (
        "Signing in to Appointment360 now takes a code",
        """
A second factor was set up for {email}: signing in now takes a code from your authenticator app.

If that was not you, tell an administrator at once.
""",
    ),
    Kind.SECOND_FACTOR_REMOVED: (
        "The second factor of your account was removed",
        """
{by} removed the second factor of {email}. Signing in takes no code any more until you set up a new one.

If that surprises you, tell an administrator at once.
""",
    ),
    Kind.FILE_IMPORTED: (
        "{file} was imported",
        """
{file}, which came into the watched folder "{folder}", was imported.

{numbers}

See it, or take it back: {web}/imports?id={import_id}
""",
    ),
    Kind.FILE_WAITS: (
        "{file} waits for you",
        """
{file} came into the watched folder "{folder}" and waits for you: {why}

{numbers}

Nothing of it is written yet. Go on here: {web}/imports?id={import_id}
""",
    ),
    Kind.FILE_FAILED: (
        "{file} could not be imported",
        """
{file}, which came into the watched folder "{folder}", could not be imported:

{error}

It is tried again when its content changes, or when you say so: {web}/watched
""",
    ),
    Kind.FOLDER_TROUBLE: (
        "The watched folder {folder} cannot be read",
        """
The watched folder "{folder}" ({place}) could not be looked at:

{error}

It is looked at again by its schedule; you are told when that fails anew after it went well. See {web}/watched
""",
    ),
    Kind.VIEW_EXPORTED: (
        "A scheduled export is done",
        """
The view "{view}" was exported by its schedule: {rows} contacts, {credits} credits.

{file}

Its receipt is under Exports. Views shows the schedule, where you can change, pause or end it.
""",
    ),
    Kind.VIEW_EXPORT_FAILED: (
        "A scheduled export failed",
        """
The view "{view}" could not be exported by its schedule to {place}:

{error}

{further}
""",
    ),
    Kind.CHECKS_BROKEN: (
        "{number} broken",
        """
The last check of the data found what the one before it did not:

{broken}

All rules, and how they stood over time: {web}/quality

You are told of a rule again only when it was mended and breaks anew.
""",
    ),
    Kind.FLOW_FAILED: (
        "The job {flow} failed",
        """
The job {flow} did not end well:

{error}

See what ran, and run it again: {web}/jobs

You are told of this job again only when it went well in between.
""",
    ),
    Kind.PERFORMANCE_REPORT: (
        "How Appointment360 performs",
        """
{report}

With charts: {web}/performance, where you can also end these messages.
""",
    ),
}
