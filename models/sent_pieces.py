"""A piece of an upload on its way into the shared store.

It lies on this host until all of it is here, becomes an object of its own, and counts from when the database names
that. What a killed process leaves is named by nobody; two that send the same piece write two objects, of which one is
named.
"""

import hashlib
import tempfile
from contextlib import suppress

from models import stored_files, upload_files
from models.errors import AppError


class Piece:
    def __init__(self, import_id: int, file_name: str) -> None:
        """Raises NoRoom, Unavailable."""
        self._import_id, self._file_name = import_id, file_name
        self.size, self._hash = 0, hashlib.sha256()
        with upload_files.disk_errors(file_name):
            # Without a name: the system removes it, however this process ends.
            self._file = tempfile.TemporaryFile(dir=stored_files.scratch())  # noqa: SIM115  # `close` does

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Raises NoRoom, Unavailable."""
        with upload_files.disk_errors(self._file_name):
            self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def store(self) -> str:
        """Bring it into the store; the name of its object. Raises Refused, NoRoom, Unavailable."""
        name = stored_files.new_name()
        stored_files.place(stored_files.address(stored_files.IMPORTS, self._import_id)).put_open(self._file, name)
        return name

    def take_back(self, name: str) -> None:
        """Of what nobody will name; where the store is away the round that looks for such finds it."""
        with suppress(AppError):
            stored_files.place(stored_files.address(stored_files.IMPORTS, self._import_id)).remove(name)

    def close(self) -> None:
        self._file.close()
