"""Secrets in files: `NAME_FILE` names the file that holds the setting NAME, as Docker hands secrets over. systemd's are
found without being named: the credential appointment360_NAME holds the setting `name`, or is the file that it names."""

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

SUFFIX = "_FILE"
LARGEST = 65_536  # bytes; what is larger is another file
CREDENTIAL = "appointment360_"  # what the names of ours begin with


@dataclass(frozen=True)
class Unreadable:
    """In place of a value: why there is none."""

    sentence: str


def credential(name: str) -> Path | None:
    """The file that systemd handed over to this service for the setting of that name."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    file = Path(folder or "/", f"{CREDENTIAL}{name}")
    return file if folder and file.is_file() else None


def is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))


def random() -> str:
    """One that nobody guesses, of letters and digits that no syntax takes for its own."""
    return secrets.token_hex(24)


def exposed(path: Path) -> bool:
    """Whether other system users can read the file, or look into the folder: it lets them, and so do all above it."""
    try:
        real = path.resolve()
        above = all(folder.stat().st_mode & stat.S_IXOTH for folder in real.parents)
        return above and bool(real.stat().st_mode & stat.S_IROTH)
    except OSError:  # we cannot even look
        return False


def write(file: Path, content: str) -> None:
    """A new file, readable by this system user only. Raises OSError, also where there is one."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(f"{content}\n")
            opened.flush()
            os.fsync(opened.fileno())
    except OSError:
        file.unlink(missing_ok=True)  # half a secret would be taken for one
        raise


class EnvironmentOrFiles(EnvSettingsSource):
    """The environment; of a secret also the file that it names; of what neither has, systemd's credential."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        if is_secret(field):
            value = self._secret(value, field, field_name)
        elif value is None and _is_path(field):
            value = credential(field_name)
        return value, key, is_complex

    def _secret(self, value: Any, field: FieldInfo, field_name: str) -> Any:
        name = field.validation_alias if isinstance(field.validation_alias, str) else self.env_prefix + field_name
        variable = f"{name}{SUFFIX}".upper()
        path = self.env_vars.get(variable if self.case_sensitive else variable.lower())
        if path is not None and value is not None:
            return Unreadable(f"{variable} is set, too: give one of the two")
        if path is not None:
            return _content(Path(path), f"the file {path} that {variable} names")
        if value is None and (given := credential(field_name)):
            return _content(given, f"systemd's credential {given.name}")
        return value


def _is_path(field: FieldInfo) -> bool:
    return Path in (field.annotation, *getattr(field.annotation, "__args__", ()))


def _content(path: Path, named: str) -> str | Unreadable:
    """Without the newline that editors and `echo` put at the end."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            return Unreadable(f"{named} is too large for a secret")
        content = raw.decode()
    except OSError as error:
        return Unreadable(f"{named} cannot be read: {error.strerror or error}")
    except UnicodeDecodeError:
        return Unreadable(f"{named} is no text")
    content = content.removesuffix("\n").removesuffix("\r")
    return content or Unreadable(f"{named} is empty")
