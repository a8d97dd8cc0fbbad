"""Addresses of places that hold files: a folder of the server, as its path, or `s3://bucket/prefix`."""

import re
from pathlib import Path

from models.errors import InvalidInput

S3 = "s3://"
# Amazon's rules for buckets, without the finer ones: the store itself knows those.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]", re.IGNORECASE)
MOST_SIGNS = 1000


def checked(address: str) -> str:
    """The address as it is kept: without blanks around it and slashes at its end. Raises InvalidInput."""
    given = address.strip()
    if not given or not given.isprintable() or len(given) > MOST_SIGNS:
        raise InvalidInput("Give a place: the path of a folder on the server, or s3://BUCKET/PREFIX.", field="address")
    if is_s3(given):
        bucket, prefix = bucket_and_prefix(given)
        return S3 + "/".join(filter(None, [bucket, prefix]))
    if "://" in given:
        raise InvalidInput(
            f"{given} is no place that is known here: give the path of a folder, or s3://BUCKET/PREFIX.",
            field="address",
        )
    path = Path(given)
    if not path.is_absolute() or ".." in path.parts:
        raise InvalidInput(f"{given} is no whole path: begin at the root of the disk, without “..”.", field="address")
    return str(path)


def is_s3(address: str) -> bool:
    return address.strip().lower().startswith(S3)


def bucket_and_prefix(address: str) -> tuple[str, str]:
    """Of an s3:// address; the prefix, which may be empty, without slashes around it. Raises InvalidInput."""
    bucket, _, prefix = address.strip()[len(S3) :].partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise InvalidInput(
            f"“{bucket}” is no name of a bucket: an address is s3://BUCKET/PREFIX, without keys in it.", field="address"
        )
    return bucket, prefix.strip("/")
