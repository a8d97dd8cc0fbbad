"""Every setting, typed, from the environment (`APPOINTMENT360_*`, plus `DATABASE_URL`)."""

import difflib
import os
from datetime import timedelta
from email.utils import parseaddr
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from platformdirs import user_data_path
from pydantic import AfterValidator, AwareDatetime, ByteSize, Field, PositiveInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from models import schedule_times
from models.errors import InvalidInput

PREFIX = "APPOINTMENT360_"
OFF = "off"  # for what does not run by schedule


def _sender(value: str) -> str:
    if "@" not in parseaddr(value)[1] or not value.isprintable():
        raise ValueError("give an address, or a name and <an address>")
    return value


def _web_address(value: str | None) -> str | None:
    parts = urlsplit(value or "https://localhost")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("give an address that begins with https:// or http://")
    return value


def _networks(value: str) -> str:
    """Only what a request's own address can be compared with: a name would match nobody, and `*` everybody."""
    wanted = [one.strip() for one in value.split(",") if one.strip()]
    for one in wanted:
        try:
            ip_network(one)
        except ValueError as error:
            raise ValueError(f"“{one}” is no address or network, such as 10.0.0.5 or 10.0.0.0/24") from error
    return ",".join(wanted)


def _sign_in(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not all(value.get_secret_value().partition(":")):
        raise ValueError("give user:password")
    return value


def _moments(value: str | None) -> str | None:
    if value is None or value.strip().lower() == OFF:
        return value and OFF
    try:
        return schedule_times.parsed(value, "UTC", soonest=timedelta(minutes=1))
    except InvalidInput as error:
        raise ValueError(f"{error.sentence} “{OFF}” turns it off") from error


def _zone(value: str) -> str:
    try:
        schedule_times.zone(value)
    except InvalidInput as error:
        raise ValueError(error.sentence) from error
    return value


Moments = Annotated[str | None, AfterValidator(_moments)]


class Settings(BaseSettings):
    """Read once per process; `settings()` is the door."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    environment: Literal["development", "production"] = "development"  # production starts with nothing weak
    database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    home: Path | None = None
    admin_email: str = "admin@example.com"
    admin_password: SecretStr | None = None
    port: int = 8360
    duckdb_memory: ByteSize = ByteSize(400_000_000)  # bytes that one import's DuckDB may hold; the default suits 1 GB
    duckdb_threads: int = 2
    max_upload: ByteSize = ByteSize(10_000_000_000)  # bytes of a file that a browser may send
    session_hours: PositiveInt = 12
    stay_days: PositiveInt = 30  # of a session that is to outlive the browser
    requests_per_address: PositiveInt = 1200  # in a minute, to one instance; an office of 30 has one address
    requests_per_person: PositiveInt = 600  # in a minute, to one instance: pieces of uploads, downloads
    requests_per_hour: PositiveInt = 1000  # of a person's programs to the API, over all instances
    failures_per_hour: PositiveInt = 5  # failed sign-ins of programs from one address, over all instances
    sockets_per_address: PositiveInt = 200  # open at once: one for each browser tab
    smtp_host: str | None = None  # without it messages are files in the outbox folder
    smtp_port: int = Field(default=587, gt=0, lt=65536)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    mail_from: Annotated[str, AfterValidator(_sender)] = "Appointment360 <appointment360@localhost>"
    public_url: Annotated[str | None, AfterValidator(_web_address)] = None  # how people reach the web: links have it
    trusted_proxies: Annotated[str, AfterValidator(_networks)] = ""  # addresses whose X-Forwarded-* is believed
    prefect_url: Annotated[str | None, AfterValidator(_web_address)] = None  # as in http://host:4200
    prefect_auth: Annotated[SecretStr | None, AfterValidator(_sign_in)] = None  # user:password of Prefect's server
    s3_endpoint: Annotated[str | None, AfterValidator(_web_address)] = None  # of a store that is not Amazon's
    s3_region: str | None = None
    s3_access_key: str | None = None  # without the two, boto3 looks where it always does: its variables, files, roles
    s3_secret_key: SecretStr | None = None
    watch_roots: str = ""  # folders of the server below which administrators may let others be watched, with commas
    razorpay_key_id: str | None = None  # payments are possible with the first three
    razorpay_key_secret: SecretStr | None = None
    razorpay_webhook_secret: SecretStr | None = None
    razorpay_old_webhook_secret: SecretStr | None = None  # counts for a day after the change: what is sent again has it
    razorpay_webhook_secret_changed_at: AwareDatetime | None = None
    razorpay_url: Annotated[str | None, AfterValidator(_web_address)] = None  # of a stand-in
    metrics_token: SecretStr | None = None  # shown by who reads /metrics; without it nobody may
    search_seconds: int = 10  # after so long the web stops what it asked the database
    export_roots: str = ""  # folders and s3:// prefixes below which scheduled exports may go, with commas between
    disk_reserve: ByteSize = ByteSize(200_000_000)  # bytes of each disk that imports, exports and backups leave free
    disk_warning: ByteSize = ByteSize(2_000_000_000)  # below so many free bytes of a disk administrators are told
    days_kept_exports: int = 7
    days_kept_audit: int = Field(default=730, ge=30)
    days_kept_checks: PositiveInt = 730  # runs of the data checks with their results; the last one stays
    days_kept_plans: int = 7  # an import left before its commit keeps its working copy so long
    days_kept_timings: int = Field(default=35, ge=29)  # how long things took; reports look back four weeks
    days_kept_runs: PositiveInt = 90  # of flows
    days_kept_reports: PositiveInt = 120  # of performance and housekeeping
    # None keeps for ever: what these three remove can be brought back by nobody. See models/house/retention.py.
    days_kept_history: int | None = Field(default=None, ge=30)  # of contacts: no undo, and no as-of, before that
    days_kept_rejects: PositiveInt | None = None  # rows of ended imports that did not come in
    days_kept_uploads: PositiveInt | None = None  # files of ended imports
    house_vacuums: bool = True  # housekeeping carries out its own advice: VACUUM and ANALYZE, never VACUUM FULL

    backup_to: str = ""  # a folder or s3://bucket/prefix; without it the folder “backups” of the home
    backup_key: Path | None = None  # the file of the key; without it “backup.key” of the home
    backup_encryption: Literal["key", "none"] = "key"
    backup_drill: bool = True  # restore and compare each backup after it was made
    backup_lock_days: int = Field(default=0, ge=0)  # nobody can delete one before, where the bucket has Object Lock
    backups_newest: int = Field(default=3, ge=1)  # how many are kept, and of how many days, weeks, months, years
    backups_days: int = Field(default=7, ge=0)
    backups_weeks: int = Field(default=5, ge=0)
    backups_months: int = Field(default=12, ge=0)
    backups_years: int = Field(default=3, ge=0)
    point_in_time: bool = False  # archive the embedded server's write-ahead log: any moment can be restored
    point_in_time_days: int = Field(default=7, ge=1)  # of how many days back

    # When flows run that are in pipelines/schedule.py: a cron, or “off”; None is the moment that stands there.
    schedule_time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    schedule_reconcile_payments: Moments = None
    schedule_validate_contacts: Moments = None
    schedule_back_up: Moments = None
    schedule_report_performance: Moments = None
    schedule_keep_house: Moments = None

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
    """Raises InvalidInput, naming every variable that cannot be read."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [f"{_given(one['loc'], one['input'])}: {_words(one['msg'])}" for one in error.errors()]
        raise InvalidInput(f"The environment has settings that mean nothing. {'; '.join(faults)}.") from error


def unknown() -> list[str]:
    """A sentence for each variable that looks like a setting and is none."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    found = []
    for name in sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known):
        near = difflib.get_close_matches(name, known, n=1)
        found.append(f"{name} is no setting{f': did you mean {near[0]}?' if near else '.'}")
    return found


def _given(place: tuple[int | str, ...], value: object) -> str:
    """The variable with its value, unless that is a secret: errors end up in logs."""
    secret = "Secret" in str(Settings.model_fields[str(place[0]).lower().removeprefix(PREFIX.lower())].annotation)
    return f"{_variable(place)} is {'not right' if secret else f'“{value}”'}"


def _words(said: str) -> str:
    """Pydantic's, which begin with its name of the error and may end with a full stop."""
    return said.removeprefix("Value error, ").rstrip(".")


def _variable(place: tuple[int | str, ...]) -> str:
    name = str(place[0])
    return name if name.isupper() else f"{PREFIX}{name.upper()}"
