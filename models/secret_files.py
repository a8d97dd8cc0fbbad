"""Secrets in files: `NAME_FILE` names the file that holds the setting NAME, as Docker and systemd hand secrets over."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

SUFFIX = "_FILE"
LARGEST = 65_536  # bytes; what is larger is another file


@dataclass(frozen=True)
class Unreadable:
    """In place of a value: why there is none."""

    sentence: str


def is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))


class EnvironmentOrFiles(EnvSettingsSource):
    """The environment; of a secret also the file that it names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        if not is_secret(field):
            return value, key, is_complex
        name = field.validation_alias if isinstance(field.validation_alias, str) else self.env_prefix + field_name
        variable = f"{name}{SUFFIX}".upper()
        path = self.env_vars.get(variable if self.case_sensitive else variable.lower())
        if path is None:
            return value, key, is_complex
        if value is not None:
            return Unreadable(f"{variable} is set, too: give one of the two"), key, is_complex
        return _content(Path(path), variable), key, is_complex


def _content(path: Path, variable: str) -> str | Unreadable:
    """Without the newline that editors and `echo` put at the end."""
    named = f"the file {path} that {variable} names"
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
