"""A prefix in S3, or in a store that speaks like it. Errors are sentences; boto3 itself repeats what fails briefly."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)

from models import file_places
from models.disk_space import NoRoom
from models.errors import AppError, NotFound, Unavailable
from models.file_store import DISK_FULL, Fetched, Found, Refused, beside, file_name, no_file, taken
from models.settings import settings

CONNECTING, READING, TRIES = 5, 60, 3  # seconds, seconds, times
PIECE = 8 * 1024 * 1024  # bytes of a part; boto3 makes them larger where a file would have too many
BLOCK = 1024 * 1024  # bytes that are read at a time
PAGE = 1000  # files of one answer
AT_ONCE = 4  # parts: with 8 MB each a transfer holds about 50 MB
TRANSFER = TransferConfig(multipart_threshold=PIECE, multipart_chunksize=PIECE, max_concurrency=AT_ONCE)
# Of an open file each part is read into the memory: one at a time, since the web has many of them at once.
ONE_BY_ONE = TransferConfig(multipart_threshold=PIECE, multipart_chunksize=PIECE, use_threads=False)
NO_BUCKET = ("NoSuchBucket",)
OURS_ALREADY = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")
NO_FILE = ("NoSuchKey", "404", "NotFound")
REFUSED = (
    "AccessDenied", "403", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
    "AccountProblem", "AllAccessDisabled", "AuthorizationHeaderMalformed", "MethodNotAllowed",
)  # fmt: skip
FULL = ("QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage", "507")
TAKEN = ("PreconditionFailed", "412", "ConditionalRequestConflict")
KEYS = "check APPOINTMENT360_S3_ACCESS_KEY and APPOINTMENT360_S3_SECRET_KEY, and what they may do in the bucket"


class Prefix:
    """What lies at s3://BUCKET/PREFIX."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.bucket, prefix = file_places.bucket_and_prefix(address)
        self._before = f"{prefix}/" if prefix else ""
        self._client = _client()

    def make_bucket(self) -> bool:
        """In a store of one's own; False where it is there. Raises Refused, Unavailable."""
        with self._sentences():
            try:
                self._client.create_bucket(Bucket=self.bucket)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in OURS_ALREADY:
                    return False
                raise
        return True

    def files(self) -> Iterator[Found]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self._before, Delimiter="/", PaginationConfig={"PageSize": PAGE}
        )
        with self._sentences():
            for page in pages:
                for one in page.get("Contents", ()):
                    name = one["Key"].removeprefix(self._before)
                    if name and not name.startswith("."):
                        yield Found(name, one["Size"], one["LastModified"], one["ETag"].strip('"'))

    def fetch(self, name: str, to: Path) -> Fetched:
        key = self._before + file_name(name)
        with self._sentences(name, to), beside(to) as part:
            if self._client.head_object(Bucket=self.bucket, Key=key)["ContentLength"] <= PIECE:
                # In one piece, asked for without a range: not all stores shorten one that ends after the file.
                with part.open("wb") as copy:
                    copy.write(self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read())
            else:
                self._client.download_file(self.bucket, key, str(part), Config=TRANSFER)
            with part.open("rb") as copy:
                digest = hashlib.file_digest(copy, "sha256")
                os.fsync(copy.fileno())
            size = part.stat().st_size
            part.replace(to)
        return Fetched(digest.hexdigest(), size)

    def put(self, path: Path, name: str, *, replace: bool = False, private: bool = False) -> str:
        """Large files go in parts. The store is asked before and, where it can, decides at the end whether the name is
        still free; one that cannot has a moment in which the last one wins."""
        key = self._before + file_name(name)
        with self._sentences(name, path):
            if not replace and self._is_there(key):
                raise taken(name, self.address)
            _client(only_new=not replace).upload_file(
                str(path), self.bucket, key, ExtraArgs=_encryption(), Config=TRANSFER
            )
        return f"{file_places.S3}{self.bucket}/{key}"

    def remove(self, name: str) -> None:
        """Of a bucket with versions the newest is hidden only: how long it stays is its lifecycle's to say."""
        key = self._before + file_name(name)
        with self._sentences(name):
            self._client.delete_object(Bucket=self.bucket, Key=key)
            left = self._client.list_multipart_uploads(Bucket=self.bucket, Prefix=key).get("Uploads", ())
            for one in (one for one in left if one["Key"] == key):
                self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=one["UploadId"])

    def put_open(self, file: BinaryIO, name: str) -> None:
        """As `put` of a file that has no name: from its beginning. It may be closed after that."""
        with self._sentences(name):
            file.seek(0)
            self._client.upload_fileobj(
                file, self.bucket, self._before + file_name(name), ExtraArgs=_encryption(), Config=ONE_BY_ONE
            )

    def size(self, name: str) -> int | None:
        """Bytes of the file; None where there is none. Raises Refused, Unavailable."""
        try:
            with self._sentences(name):
                return int(self._client.head_object(Bucket=self.bucket, Key=self._before + name)["ContentLength"])
        except NotFound:
            return None

    def read(self, name: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """The file in blocks, from byte `first` to byte `last`. It is asked for at once: raises NotFound, Refused,
        Unavailable; blocks may raise Unavailable."""
        whole = {"Bucket": self.bucket, "Key": self._before + file_name(name)}
        part = {"Range": f"bytes={first}-{'' if last is None else last}"} if first or last is not None else {}
        with self._sentences(name):
            body = self._client.get_object(**whole, **part)["Body"]
        return self._blocks(body, name)

    def presigned(self, name: str, *, seconds: int, disposition: str, media_type: str) -> str:
        """An address that gives the file to whoever has it, for so long, under that name."""
        answered = {"ResponseContentDisposition": disposition, "ResponseContentType": media_type}
        answered |= {"ResponseCacheControl": "no-store"}
        with self._sentences(name):
            return str(
                _client(outside=True).generate_presigned_url(
                    "get_object",
                    Params={"Bucket": self.bucket, "Key": self._before + file_name(name), **answered},
                    ExpiresIn=seconds,
                )
            )

    def below(self) -> Iterator[Found]:
        """Everything that lies here, in places below it, too, by its path."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self._before, PaginationConfig={"PageSize": PAGE}
        )
        with self._sentences():
            for page in pages:
                for one in page.get("Contents", ()):
                    name = one["Key"].removeprefix(self._before)
                    yield Found(name, one["Size"], one["LastModified"], one["ETag"].strip('"'))

    def remove_all(self, names: Sequence[str] | None = None) -> None:
        """Delete everything that lies here and below, or those of it."""
        gone = [one.name for one in self.below()] if names is None else list(names)
        with self._sentences():
            for at in range(0, len(gone), PAGE):
                listed = [{"Key": self._before + name} for name in gone[at : at + PAGE]]
                answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": listed, "Quiet": True})
                if errors := answer.get("Errors"):
                    raise Unavailable(f"{self.address} did not delete {errors[0].get('Key')}: {errors[0].get('Code')}.")

    def _blocks(self, body: Any, name: str) -> Iterator[bytes]:
        with self._sentences(name):
            try:
                yield from body.iter_chunks(BLOCK)
            finally:
                body.close()

    def lock_until(self, name: str, moment: datetime) -> bool:
        """Let nobody delete this version of the file before the moment; False where the bucket has no Object Lock."""
        key = self._before + file_name(name)
        with self._sentences(name):
            try:
                self._client.get_object_lock_configuration(Bucket=self.bucket)
            except ClientError:  # which also the stores answer that know no locks
                return False
            retention = {"Mode": "COMPLIANCE", "RetainUntilDate": moment}
            body = {"Bucket": self.bucket, "Key": key, "Retention": retention, "ChecksumAlgorithm": "SHA256"}
            self._client.put_object_retention(**body)
        return True

    def expires_after(self) -> int | None:
        """Days after which the bucket's lifecycle deletes what lies here; None where it does not, or cannot say."""
        with self._sentences():
            try:
                rules = self._client.get_bucket_lifecycle_configuration(Bucket=self.bucket).get("Rules", ())
            except ClientError:
                return None
        days = [
            rule["Expiration"]["Days"]
            for rule in rules
            if rule.get("Status") == "Enabled"
            and "Days" in rule.get("Expiration", {})
            and self._before.startswith(_rule_prefix(rule))
        ]
        return min(days, default=None)

    def _is_there(self, key: str) -> bool:
        """By a listing, not by the file itself: whoever may not read it would be told nothing."""
        found = self._client.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1).get("Contents", ())
        return any(one["Key"] == key for one in found)

    @contextmanager
    def _sentences(self, name: str | None = None, path: Path | None = None) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError, Boto3Error) as error:
            raise self._said(_cause(error), name) from error
        except OSError as error:
            if error.errno in DISK_FULL:
                raise NoRoom(f"The disk is full: {path} was not written. Free some space and try again.") from error
            raise Unavailable(f"{path or self.address} failed: {error.strerror or error}. Try again.") from error

    def _said(self, error: BaseException, name: str | None) -> AppError:
        if not isinstance(error, ClientError):
            return _unreachable(error, self.address)
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in NO_BUCKET:
            return NotFound(
                f"There is no bucket {self.bucket}: make it, or check APPOINTMENT360_S3_ENDPOINT and _REGION."
            )
        if code in NO_FILE:
            return no_file(name or self.address, self.address)
        if code in TAKEN:
            return taken(name or "", self.address)
        if code in REFUSED:
            return Refused(f"{self.address} refuses this program ({code}): {KEYS}.")
        if code in FULL:
            return NoRoom(f"{self.address} has no room left ({code}): free some, or let its quota be raised.")
        words = str(error.response.get("Error", {}).get("Message", "")).rstrip(".")
        return Unavailable(f"{self.address} answered {code}: {words}. Try again, or check the S3 settings.")


def _rule_prefix(rule: dict[str, Any]) -> str:
    """What a rule of the lifecycle is for, by the three ways to say so."""
    chosen = rule.get("Filter", {})
    return str(chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or rule.get("Prefix") or "")


def _unreachable(error: BaseException, address: str) -> Unavailable:
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return Refused(f"{address} takes keys, and there are none: set APPOINTMENT360_S3_ACCESS_KEY and _SECRET_KEY.")
    endpoint = settings().s3_endpoint or "Amazon"
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return Unavailable(f"{address} cannot be reached at {endpoint}: {reason}. Check APPOINTMENT360_S3_ENDPOINT.")


def _cause(error: BaseException) -> BaseException:
    """What boto3's transfer wraps into an error of its own, as text alone."""
    while isinstance(error, Boto3Error) and (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _encryption() -> dict[str, str]:
    """What the store is told to encrypt with; nothing where the bucket's own default decides."""
    chosen = settings()
    if chosen.s3_encryption == "none":
        return {}
    key = {"SSEKMSKeyId": chosen.s3_kms_key} if chosen.s3_kms_key and chosen.s3_encryption == "aws:kms" else {}
    return {"ServerSideEncryption": chosen.s3_encryption, **key}


def _client(*, only_new: bool = False, outside: bool = False) -> Any:
    """With `only_new` the store refuses to write over what is there (a conditional write). `outside` it is named as
    browsers reach it."""
    chosen = settings()
    keys: tuple[str, str] | None = None
    if chosen.s3_access_key and chosen.s3_secret_key:
        keys = chosen.s3_access_key, chosen.s3_secret_key.get_secret_value()
    endpoint = chosen.s3_public_endpoint or chosen.s3_endpoint if outside else chosen.s3_endpoint
    return _connected(endpoint, chosen.s3_region, keys, only_new)


@lru_cache(maxsize=4)  # it takes a third of a second to make one, and threads may share it
def _connected(endpoint: str | None, region: str | None, keys: tuple[str, str] | None, only_new: bool) -> Any:
    # Stores other than Amazon's are reached at their own host, without a name for each bucket; they do not all know
    # the checksums that boto3 adds by itself.
    config = Config(
        connect_timeout=CONNECTING,
        read_timeout=READING,
        retries={"total_max_attempts": TRIES, "mode": "standard"},
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    given = {"aws_access_key_id": keys[0], "aws_secret_access_key": keys[1]} if keys else {}
    place = region or ("us-east-1" if endpoint else None)
    client = boto3.session.Session().client("s3", endpoint_url=endpoint, region_name=place, config=config, **given)
    if only_new:
        for call in ("PutObject", "CompleteMultipartUpload"):
            client.meta.events.register(f"provide-client-params.s3.{call}", _if_none_match)
    return client


def _if_none_match(params: dict[str, Any], **_: object) -> dict[str, Any]:
    return {**params, "IfNoneMatch": "*"}
