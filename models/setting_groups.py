"""Every setting, in groups: its name, what it may be, its default, and below it what it means.

What it means is one line for who sets it: deploy/env.example is written from here (`python -m deploy.env_example`).
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ByteSize, ConfigDict, Field, PositiveInt, SecretStr, field_validator

from models.secret_files import Unreadable
from models.setting_kinds import (
    Contact,
    DatabaseAddress,
    FilesAddress,
    Moments,
    Networks,
    Sender,
    SentryAddress,
    SignIn,
    WebAddress,
    Zone,
)

CHANGE_ME = "change-me"  # stands for a secret in examples; production refuses it


class Group(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _was_read(cls, value: Any) -> Any:
        if isinstance(value, Unreadable):
            raise ValueError(value.sentence)
        return value


class Running(Group):
    """How it runs, and where"""

    environment: Literal["development", "production"] = "development"
    """with production nothing starts that is set up weakly"""
    database_url: DatabaseAddress = Field(
        default=None,
        validation_alias="DATABASE_URL",
        examples=[f"postgresql://appointment360:{CHANGE_ME}@localhost:5432/appointment360"],
    )
    """the PostgreSQL server; without it `appointment360 up` runs one of its own"""
    database_replica_url: DatabaseAddress = Field(
        default=None,
        validation_alias="DATABASE_REPLICA_URL",
        examples=[f"postgresql://appointment360:{CHANGE_ME}@replica:5432/appointment360"],
    )
    """a server that follows it by streaming replication: the web reads lists, counts and charts of contacts there"""
    replica_lag_seconds: PositiveInt = 10
    """a replica further behind is not asked"""
    home: Path | None = None
    """the data directory; without it the platform's place for a user's data"""
    admin_email: str = "admin@example.com"
    """whom an empty database gets as its first administrator"""
    admin_password: SecretStr | None = Field(default=None, examples=[CHANGE_ME])
    """the first administrator's; without it one is made, and shown once"""
    secret_key: SecretStr | None = Field(default=None, examples=[CHANGE_ME])
    """seals people's second factors; the same for all parts; without it secret.key of the home, which `up` makes"""
    old_secret_key: SecretStr | None = Field(default=None, examples=[CHANGE_ME])
    """the one before, until `appointment360 secrets seal` was run"""
    duckdb_memory: ByteSize = ByteSize(400_000_000)
    """what one import may hold in memory; the default suits a machine with 1 GB"""
    duckdb_threads: int = 2
    """how many processors one import takes"""


class Web(Group):
    """The web"""

    port: int = Field(default=8360, gt=0, lt=65536)
    """the port of the web on this machine"""
    public_url: WebAddress = Field(default=None, examples=["https://contacts.example.com"])
    """how people reach the web: links in messages have it"""
    security_contact: Contact = Field(default=None, examples=["security@example.com"])
    """whom somebody tells of a weakness, in /.well-known/security.txt: an address, or a page with https"""
    static_url: FilesAddress = Field(default=None, examples=["https://cdn.example.com"])
    """where browsers load Streamlit's files: a CDN that fetches /static/ of ours; without it from the web itself"""
    trusted_proxies: Networks = Field(default="", examples=["10.0.0.5,10.0.1.0/24"])
    """addresses whose word is taken for where a request comes from (X-Forwarded-*), with commas between"""
    private_networks: Networks = Field(default="", examples=["172.28.0.0/24"])
    """networks that nobody else reads along in: there production asks no TLS of databases, Prefect, mail and S3"""
    session_hours: PositiveInt = 12
    """hours that a session lasts"""
    stay_days: PositiveInt = 30
    """days that one lasts that is to outlive the browser"""
    idle_hours: PositiveInt = 168
    """hours after which a session ends that nobody used meanwhile"""
    admin_idle_hours: PositiveInt = 12
    """the same, of an administrator"""
    breached_passwords: Path | None = Field(default=None, examples=["/srv/pwned-passwords.txt"])
    """a file of passwords that were stolen elsewhere, which nobody may choose: as Have I Been Pwned hands it out"""
    requests_per_address: PositiveInt = 1200
    """requests a minute to one instance; an office of 30 people has one address"""
    requests_per_person: PositiveInt = 600
    """requests a minute to one instance: pieces of uploads, downloads"""
    requests_per_hour: PositiveInt = 1000
    """requests of a person's programs to the API, over all instances"""
    failures_per_hour: PositiveInt = 5
    """failed sign-ins of programs from one address, over all instances"""
    sockets_per_address: PositiveInt = 200
    """connections open at once: one for each browser tab"""
    max_upload: ByteSize = ByteSize(10_000_000_000)
    """the largest file that a browser may send"""
    web_drain_seconds: float = Field(default=0, ge=0)
    """seconds for which an instance that is told to end still serves, while /readyz says 503 to balancers"""
    web_grace_seconds: PositiveInt = 30
    """seconds in which an instance that is told to end answers what it was asked"""
    mirror: Literal["on", "off"] = "on"
    """whether an instance keeps a mirror of the contacts in its home, for counts and charts at once"""
    mirror_memory: ByteSize | None = Field(default=None, examples=["1GB"])
    """what it may hold of them in memory; without it a quarter of the machine's, and 1 GB at most"""
    mirror_threads: PositiveInt = 2
    """how many processors one question takes there"""
    search_seconds: int = 10
    """after so many seconds the web stops what it asked the database"""
    metrics_token: SecretStr | None = Field(default=None, examples=[CHANGE_ME])
    """the bearer token of the Prometheus that reads /metrics; without it nobody may"""


class Watching(Group):
    """Who watches it: logs and metrics"""

    log_format: Literal["text", "json"] = "text"
    """of a line for each event, on stderr: for a person, or for a machine"""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """from which on this program tells of itself; libraries only warn"""
    slow_request_seconds: float = Field(default=1, gt=0)
    """a request or a screen that takes longer is logged, with what it asked of the database"""
    sentry_dsn: SentryAddress = Field(default=None, examples=[f"https://{CHANGE_ME}@sentry.example.com/1"])
    """where errors are reported to, without anybody's data; without it nowhere"""


class Prefect(Group):
    """Prefect, where the web and the workers run apart from it"""

    prefect_url: WebAddress = Field(default=None, examples=["http://prefect:4200"])
    """where its server answers"""
    prefect_auth: SignIn = Field(default=None, examples=[f"appointment360:{CHANGE_ME}"])
    """user:password that it asks for; the server, the web and every worker have the same"""
    drain_seconds: PositiveInt = 300
    """seconds for which a worker that is told to end waits for the flows that it runs"""


class Mail(Group):
    """Mail"""

    smtp_host: str | None = None
    """the mail server; without it messages are files in the outbox folder of the home"""
    smtp_port: int = Field(default=587, gt=0, lt=65536)
    """its port"""
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """how the connection is encrypted"""
    smtp_user: str | None = None
    """the name to sign in with there; without it nobody does"""
    smtp_password: SecretStr | None = Field(default=None, examples=[CHANGE_ME])
    """the password of that name"""
    mail_from: Sender = "Appointment360 <appointment360@localhost>"
    """the sender of messages"""


class Places(Group):
    """Folders and S3"""

    s3_endpoint: WebAddress = None
    """the address of a store that is not Amazon's"""
    s3_public_endpoint: WebAddress = None
    """its address as browsers reach it, for files_presigned; without it the same"""
    s3_region: str | None = None
    """the region of the buckets"""
    s3_access_key: str | None = None
    """the name of the key; without the two boto3 looks where it always does: its variables, files, roles"""
    s3_secret_key: SecretStr | None = Field(default=None, examples=[CHANGE_ME])
    """the secret of that key"""
    s3_encryption: Literal["none", "AES256", "aws:kms"] = "none"
    """what a store is asked to encrypt with; with none its bucket decides"""
    s3_kms_key: str | None = None
    """the key of aws:kms; without it the account's own"""
    files: str = Field(default="", examples=["s3://appointment360/site"])
    """where uploads, exports and backups lie, for hosts that share no folder: s3://bucket/prefix; else the home"""
    files_presigned: bool = False
    """browsers fetch exports from the store itself, which they have to reach; else the web passes them on"""
    watch_roots: str = ""
    """folders of the server below which administrators may let others be watched, with commas between"""
    export_roots: str = ""
    """folders and s3:// prefixes below which scheduled exports may go, with commas between"""


class Payments(Group):
    """Payments by Razorpay"""

    razorpay_key_id: str | None = None
    """the name of the key; payments need it, its secret and the webhook's"""
    razorpay_key_secret: SecretStr | None = Field(default=None, examples=[CHANGE_ME])
    """the secret of that key"""
    razorpay_webhook_secret: SecretStr | None = Field(default=None, examples=[CHANGE_ME])
    """what Razorpay signs its messages with"""
    razorpay_old_webhook_secret: SecretStr | None = Field(default=None, examples=[CHANGE_ME])
    """the one before: it counts for a day after the change, since what is sent again has it"""
    razorpay_webhook_secret_changed_at: AwareDatetime | None = None
    """when it was changed, with the time zone, as in 2026-11-01T10:00:00Z"""
    razorpay_url: WebAddress = None
    """the address of a stand-in for Razorpay"""


class Keeping(Group):
    """Disks, and what is kept how long"""

    disk_reserve: ByteSize = ByteSize(200_000_000)
    """bytes of each disk that imports, exports and backups leave free"""
    disk_warning: ByteSize = ByteSize(2_000_000_000)
    """below so many free bytes of a disk administrators are told"""
    days_kept_exports: int = 7
    """days that files of exports are kept"""
    days_kept_audit: int = Field(default=730, ge=30)
    """days of the audit log"""
    days_kept_checks: PositiveInt = 730
    """days of runs of the data checks with their results; the last one stays"""
    days_kept_plans: int = 7
    """days that an import left before its commit keeps its working copy"""
    days_kept_timings: int = Field(default=35, ge=29)
    """days of how long things took; reports look back four weeks"""
    days_kept_runs: PositiveInt = 90
    """days of runs of flows"""
    days_kept_reports: PositiveInt = 120
    """days of reports of performance and housekeeping"""
    # None keeps for ever: what these three remove can be brought back by nobody. See models/house/retention.py.
    days_kept_history: int | None = Field(default=None, ge=30)
    """days of older versions of contacts, for ever without it: no undo, and no as-of, before that"""
    days_kept_rejects: PositiveInt | None = None
    """days of rows of ended imports that did not come in, for ever without it"""
    days_kept_uploads: PositiveInt | None = None
    """days of files of ended imports, for ever without it"""
    house_vacuums: bool = True
    """housekeeping carries out its own advice: VACUUM and ANALYZE, never VACUUM FULL"""


class Backups(Group):
    """Backups"""

    backup_to: str = ""
    """a folder or s3://bucket/prefix that is there; without it backups of the home, or of files"""
    backup_key: Path | None = None
    """the file of the key, which has to be there; without it backup.key of the home, made where files is not set"""
    backup_encryption: Literal["key", "none"] = "key"
    """none leaves backups readable for whoever reaches them"""
    backup_drill: bool = True
    """restore and compare each backup after it was made"""
    backup_lock_days: int = Field(default=0, ge=0)
    """days before which nobody can delete one, where the bucket has Object Lock"""
    backups_newest: int = Field(default=3, ge=1)
    """how many are kept; beside them one of each of so many days, weeks, months, years"""
    backups_days: int = Field(default=7, ge=0)
    """days of which one is kept"""
    backups_weeks: int = Field(default=5, ge=0)
    """weeks of which one is kept"""
    backups_months: int = Field(default=12, ge=0)
    """months of which one is kept"""
    backups_years: int = Field(default=3, ge=0)
    """years of which one is kept"""
    point_in_time: bool = False
    """archive the embedded server's write-ahead log: any moment can be restored"""
    point_in_time_days: int = Field(default=7, ge=1)
    """days back of which any moment can be"""


class Schedule(Group):
    """When flows run: a cron, or off; without it the moment of pipelines/schedule.py"""

    schedule_time_zone: Zone = "UTC"
    """the time zone of the moments"""
    schedule_reconcile_payments: Moments = None
    """compares payments with Razorpay's"""
    schedule_validate_contacts: Moments = None
    """the data checks"""
    schedule_back_up: Moments = None
    """a backup"""
    schedule_report_performance: Moments = None
    """the report of performance"""
    schedule_keep_house: Moments = None
    """housekeeping"""
