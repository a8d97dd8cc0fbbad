"""Turns any file that a person uploads into one DuckDB table of text cells, losing nothing and naming lines."""

from pipelines.contact_files.open_file import open_contact_file
from pipelines.contact_files.opened_file import OpenedFile, UnreadableFile, read_opened

__all__ = ["OpenedFile", "UnreadableFile", "open_contact_file", "read_opened"]
