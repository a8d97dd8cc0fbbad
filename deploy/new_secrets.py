"""The secrets that production needs, made at random: as lines for an environment, or as files that are never
overwritten."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from models import secret_files
from models.errors import InvalidInput, Unavailable

DATABASE = "postgresql://appointment360@localhost:5432/appointment360"
PREFECT_USER = "appointment360"
BACKUP_KEY = "backup_key"
PASSWORD = "database_password"  # noqa: S105  the name of a file: whoever sets up the database's server reads it


@dataclass(frozen=True)
class Written:
    """The files of a folder by what they hold, in order; which of them were made, which were there, and what of it
    other system users can read."""

    files: dict[str, Path]
    made: list[str]
    kept: list[str]
    exposed: list[Path]


def fresh(database: str = DATABASE, *, admin: bool = True) -> dict[str, str]:
    """Secrets by their settings' names, and the database's password. Raises InvalidInput for a bad address."""
    password = secret_files.random()
    made = {
        PASSWORD: password,
        "database_url": _with_password(database, password),
        "prefect_auth": f"{PREFECT_USER}:{secret_files.random()}",
        "metrics_token": secret_files.random(),
        "secret_key": secret_files.random(),
    }
    if admin:
        made["admin_password"] = secrets.token_urlsafe(15)  # a person may have to type it
    return made


def write(folder: Path, database: str = DATABASE, *, admin: bool = True) -> Written:
    """Make those that the folder lacks, readable by this system user only. Raises InvalidInput, Unavailable."""
    from pipelines import backup_key

    wanted = fresh(database, admin=admin)
    files = {name: folder / name for name in (*wanted, BACKUP_KEY)}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = [name for name, file in files.items() if file.exists()]
        _agree(wanted, files, database)
        for name in wanted.keys() - set(kept):
            secret_files.write(files[name], wanted[name])
    except OSError as error:
        raise Unavailable(f"{error.filename or folder} cannot be used: {error.strerror or error}.") from error
    if BACKUP_KEY not in kept:
        backup_key.make(files[BACKUP_KEY])
    exposed = [one for one in (folder, *files.values()) if secret_files.exposed(one)]
    return Written(files, [name for name in files if name not in kept], kept, exposed)


def lines(values: dict[str, str]) -> list[str]:
    """For an env file."""
    return [f"{_variable(name)}={value}" for name, value in values.items()]


def file_lines(written: Written) -> list[str]:
    """For an env file that names the files."""
    return [f"{_variable(name)}{'' if name == BACKUP_KEY else '_FILE'}={file}" for name, file in written.files.items()]


def _agree(wanted: dict[str, str], files: dict[str, Path], database: str) -> None:
    """The address and the password are one secret in two files: what is there decides what the other one gets."""
    from sqlalchemy import make_url

    if files[PASSWORD].exists():
        wanted["database_url"] = _with_password(database, files[PASSWORD].read_text().strip())
    elif files["database_url"].exists():
        found = make_url(files["database_url"].read_text().strip())
        wanted[PASSWORD] = found.password or wanted[PASSWORD]


def _with_password(url: str, password: str) -> str:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        address = None
    if address is None or address.get_backend_name() != "postgresql" or not address.database or address.password:
        raise InvalidInput(f"Give the database as {DATABASE}, without a password: one is made.")
    return address.set(password=password).render_as_string(hide_password=False)


def _variable(name: str) -> str:
    from models.settings import variable

    return "POSTGRES_PASSWORD" if name == PASSWORD else variable(name)
