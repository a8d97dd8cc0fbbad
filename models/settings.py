"""Every setting, typed, from the environment (`APPOINTMENT360_*`, plus `DATABASE_URL`). What there is stands in
models/setting_groups.py."""

import difflib
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from platformdirs import user_data_path
from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from models.errors import InvalidInput
from models.secret_files import SUFFIX, EnvironmentOrFiles, credential, is_secret
from models.setting_faults import Fault, way_out
from models.setting_groups import (
    Backups,
    Group,
    Keeping,
    Mail,
    Payments,
    Places,
    Prefect,
    Running,
    Schedule,
    Watching,
    Web,
)
from models.setting_kinds import OFF

__all__ = ["GROUPS", "OFF", "PREFIX", "Settings", "environment", "home", "origin", "settings", "unknown", "variable"]

PREFIX = "APPOINTMENT360_"
ALIKE = 0.7  # of 1: how much of a mistyped name is in the right one
GROUPS: tuple[type[Group], ...] = (Running, Web, Watching, Prefect, Mail, Places, Payments, Keeping, Backups, Schedule)


# Backwards: pydantic takes the fields of the last base first.
class Settings(Schedule, Backups, Keeping, Payments, Places, Mail, Prefect, Watching, Web, Running, BaseSettings):
    """Read once per process; `settings()` is the door."""

    # What is set to nothing is not set: compose files and env files pass variables on that nobody gave.
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: object, **__: object
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, EnvironmentOrFiles(settings_cls)

    @property
    def replica(self) -> str | None:
        """The address of the database's replica; it holds the password."""
        return None if self.database_replica_url is None else self.database_replica_url.get_secret_value()

    @property
    def address(self) -> str:
        """Where people reach the web, without a slash at the end."""
        return (self.public_url or f"http://127.0.0.1:{self.port}").rstrip("/")


def home() -> Path:
    """Where everything is kept that is no setting: the database, stored files, logs."""
    if chosen := settings().home:
        return chosen.expanduser().absolute()
    # Postgres refuses to run as root, and its own user must reach its data: not under /root.
    return Path("/var/lib/appointment360") if _is_root() else user_data_path("appointment360", appauthor=False)


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0  # Windows has no root


@cache
def settings() -> Settings:
    """Raises InvalidInput, naming every variable that cannot be read; never what a secret is."""
    found = _read()
    if isinstance(found, Settings):
        return found
    lines = "".join(f"\n- {fault.sentence}" for fault in found)
    raise InvalidInput(f"The environment has settings that mean nothing:{lines}")


def unreadable() -> list[Fault]:
    """Of each variable that cannot be read, why."""
    found = _read()
    return [] if isinstance(found, Settings) else found


def leave_out(faults: Iterable[Fault]) -> None:
    """Go on in this process as if those variables were not set."""
    for fault in faults:
        os.environ.pop(fault.variable, None)
        os.environ.pop(f"{fault.variable}{SUFFIX}", None)
    settings.cache_clear()


def _read() -> Settings | list[Fault]:
    """Outside of pydantic's error: that one holds the values, and whoever logs what comes of it would log them, too."""
    try:
        return Settings()
    except ValidationError as error:
        return [_fault(one["loc"], one["input"], way_out(one)) for one in error.errors()]


def unknown() -> list[str]:
    """A sentence for each variable that looks like a setting and is none."""
    known = {variable(name) for name in Settings.model_fields}
    known |= {f"{variable(name)}{SUFFIX}" for name, field in Settings.model_fields.items() if is_secret(field)}
    found = []
    ours = {name.removeprefix(PREFIX): name for name in known}  # what all begin with makes none of them alike
    for name in sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known):
        near = [ours[one] for one in difflib.get_close_matches(name.removeprefix(PREFIX), ours, n=1, cutoff=ALIKE)]
        found.append(f"{name} is no setting{f': did you mean {near[0]}?' if near else '.'}")
    return found


def environment(**given: str) -> dict[str, str]:
    """This process's, for one that it starts, with other values of some variables. A secret among them is no longer
    read from the file that held it: two answers would be refused."""
    replaced = {f"{name}{SUFFIX}" for name in given}
    return {name: value for name, value in os.environ.items() if name not in replaced} | given


def variable(name: str) -> str:
    """What the setting is called in the environment."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{name.upper()}"


def origin(name: str) -> str:
    """Where the setting has its value from: “default”, “environment”, or the path of a file."""
    if name not in settings().model_fields_set:
        return "default"
    if os.environ.get(variable(name)):
        return "environment"
    return os.environ.get(f"{variable(name)}{SUFFIX}") or str(credential(name) or "environment")


def _fault(place: tuple[int | str, ...], value: object, out: str) -> Fault:
    """The variable with its value, unless that is a secret: errors end up in logs."""
    name = next(one for one in Settings.model_fields if place[0] in (one, variable(one)))
    secret = is_secret(Settings.model_fields[name])
    return Fault(variable(name), f"is {'not right' if secret else f'“{value}”'}", out)
