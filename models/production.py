"""What `APPOINTMENT360_ENVIRONMENT=production` does not start with: all of it at once, each with its way out."""

import os
from collections.abc import Collection, Iterator
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from psycopg import conninfo

from models import file_places, open_databases, passwords, secret_files
from models.database import libpq_url
from models.errors import InvalidInput
from models.networks import reached_unseen
from models.payments.gateway import NEEDED
from models.secret_files import SUFFIX, is_secret
from models.setting_faults import Fault
from models.settings import Settings, variable
from models.weak_secrets import is_example, weakness

PRODUCTION = "production"
PROVEN = ("verify-ca", "verify-full")  # with `require` whoever stands between may pose as the server
SECRETS_NEW = "`appointment360 secrets new` makes one"
UNSEEN = f"or name its network in {variable('private_networks')}, if nobody else reads along there"
ADMINISTRATOR = "give the address of who looks after it"
DATABASES = ("database_url", "database_replica_url")
MADE = dict.fromkeys(("admin_password", "prefect_auth", "metrics_token", "secret_key"), SECRETS_NEW)
MADE["database_url"] = f"{SECRETS_NEW}, whose password its role has to get, too (ALTER ROLE)"
OF_CONTAINERS = "/run/secrets"
CHOSEN = ("metrics_token", "secret_key", "razorpay_webhook_secret")
# Of Python and the libraries: what makes them tell more than strangers may know, or run slower.
DEBUGGING = {
    "PYTHONASYNCIODEBUG": ("1",), "PYTHONDEVMODE": ("1",), "PREFECT_DEBUG_MODE": ("1", "true"),
    "PREFECT_LOGGING_LEVEL": ("debug",), "PREFECT_SERVER_LOGGING_LEVEL": ("debug",),
    "STREAMLIT_LOGGER_LEVEL": ("debug",), "STREAMLIT_GLOBAL_DEVELOPMENT_MODE": ("1", "true"),
    "STREAMLIT_CLIENT_SHOW_ERROR_DETAILS": ("1", "true", "full", "stacktrace"),
}  # fmt: skip


def require(settings: Settings, *, alone: bool = False, without: Collection[str] = ()) -> None:
    """Nothing where it is no production; else raises InvalidInput, which names every fault.

    `alone`: all of it runs on this machine, as with `appointment360 up`, which makes what its parts share. `without`:
    settings that this part may lack, since it has no use for them.
    """
    if settings.environment != PRODUCTION:
        return
    lacking = {variable(name) for name in without if getattr(settings, name) is None}
    if found := [fault for fault in every_fault(settings, alone=alone) if fault.variable not in lacking]:
        lines = "".join(f"\n- {fault.sentence}" for fault in found)
        raise InvalidInput(f"Production does not start with these settings:{lines}")


def every_fault(settings: Settings, *, alone: bool = False) -> list[Fault]:
    """Those of the settings, and those that only the databases themselves can show."""
    opened = [name for name, url in _databases(settings).items() if open_databases.is_open(url)]
    why, way_out = "leads to a server that takes any password", "let its pg_hba.conf say scram-sha-256, not trust"
    return [*faults(settings, alone=alone), *(_fault(name, why, way_out) for name in opened)]


def unanswered(settings: Settings) -> list[Fault]:
    """Databases that cannot be asked now. What starts waits for them, or says so itself."""
    found = {name: open_databases.refusal(url) for name, url in _databases(settings).items()}
    return [_fault(name, *why) for name, why in found.items() if why is not None]


def exposed(settings: Settings) -> list[Fault]:
    """Secrets whose files other system users of this machine can read. In a container nobody else is one."""
    named = {
        f"{variable(name)}{SUFFIX}": os.environ.get(f"{variable(name)}{SUFFIX}")
        for name, field in type(settings).model_fields.items()
        if is_secret(field)
    }
    if settings.backup_key is not None:
        named[variable("backup_key")] = str(settings.backup_key.expanduser())
    return [
        Fault(name, f"names {path}, which other system users of this machine can read", f"chmod 600 {path}")
        for name, path in named.items()
        if path and not Path(path).is_relative_to(OF_CONTAINERS) and secret_files.exposed(Path(path))
    ]


def faults(settings: Settings, *, alone: bool = False) -> list[Fault]:
    """Those of the settings alone, which ask nobody."""
    found = [*_missing(settings, alone=alone), *_secrets(settings), *_web(settings), *_database(settings)]
    found += [*_ways(settings), *_places(settings), *_payments(settings), *_debugging(settings)]
    if settings.admin_email.endswith("@example.com"):
        found.append(_fault("admin_email", "is the example's", ADMINISTRATOR))
    elif not _is_email(settings.admin_email):
        found.append(_fault("admin_email", "is no address of mail that an account can have", ADMINISTRATOR))
    if settings.backup_encryption == "none":
        found.append(_fault("backup_encryption", "is none, and backups hold everything", "leave it out"))
    if settings.razorpay_url:
        found.append(_fault("razorpay_url", "leads to a stand-in, which takes no money", "leave it out"))
    return found


def losses(settings: Settings) -> Iterator[Fault]:
    """What production starts with, and loses something by; of what this system user sees. Raises InvalidInput."""
    if settings.smtp_host is None:
        why = "is missing, so that invitations and other messages are files on the host that writes them"
        yield _fault("smtp_host", why, "name a mail server")
    if not any(_places(settings)) and settings.backup_encryption != "none":
        yield from _lost_backups(settings)


def _lost_backups(settings: Settings) -> Iterator[Fault]:
    from models import backups, stored_files

    if settings.backup_to and not file_places.is_s3(settings.backup_to) and not Path(backups.place()).is_dir():
        why = "names a folder that is not there, so that no backup is made"
        yield _fault("backup_to", why, "make it, writable for the system user of the workers")
    key, way_out = backups.key_file(), "`appointment360 backup key new FILE` makes one, of which every host has a copy"
    if settings.backup_key is not None:
        if not key.is_file():
            yield _fault("backup_key", f"names {key}, which is not there, so that no backup is made", way_out)
    elif stored_files.are_shared() and not key.is_file():
        yield _fault("backup_key", "is missing, so that no backup is made", way_out)
    elif file_places.is_s3(backups.place()):
        why = f"is missing, so that {key} opens the backups in {backups.place()} alone: they are lost with this host"
        yield _fault("backup_key", why, f"keep a copy of it elsewhere, and name one that outlives the host; {way_out}")


def _missing(settings: Settings, *, alone: bool) -> Iterator[Fault]:
    if settings.public_url is None:
        yield _fault("public_url", "is missing", "give the https address that people use")
    if alone:
        return
    if settings.database_url is None:
        yield _fault("database_url", "is missing", "give the address of the PostgreSQL server")
    if settings.secret_key is None:
        yield _fault("secret_key", "is missing, so that second factors lie open in the database", SECRETS_NEW)
    if settings.prefect_auth is None:
        yield _fault("prefect_auth", "is missing, so that anybody could run anything", SECRETS_NEW)
    if settings.prefect_url is None:
        why = "is missing, so that nothing is imported or exported"
        yield _fault("prefect_url", why, "give the address of Prefect's server")
    if not settings.trusted_proxies:
        why = "is missing, so that https and people's addresses are not known"
        yield _fault("trusted_proxies", why, "give the addresses of the proxies")


def _secrets(settings: Settings) -> Iterator[Fault]:
    for name, field in type(settings).model_fields.items():
        given = getattr(settings, name) if is_secret(field) else None
        if given is None:
            continue
        if is_example(given.get_secret_value()):
            yield _fault(name, "is the example's", MADE.get(name, "give the real one"))
        elif weak := _weak(name, given.get_secret_value(), settings):
            yield _fault(name, weak, MADE.get(name, "take another, here and there"))


def _weak(name: str, secret: str, settings: Settings) -> str | None:
    """What is wrong with a secret that we chose; others were made by those who ask for them."""
    if name == "admin_password":
        try:
            passwords.require_good(secret, name="Administrator", email=settings.admin_email)
        except InvalidInput:
            return "is too weak"
    if name in CHOSEN:
        return weakness(secret)
    if name == "prefect_auth" or name in DATABASES:
        password = _password(secret) if name in DATABASES else secret.partition(":")[2]
        weak = password and weakness(password)
        return f"has a password that {weak}" if weak else None
    return None


def _password(url: str) -> str:
    return str(conninfo.conninfo_to_dict(libpq_url(url)).get("password") or "")


def _web(settings: Settings) -> Iterator[Fault]:
    for name in ("public_url", "static_url"):
        if urlsplit(getattr(settings, name) or "").scheme == "http":
            yield _fault(name, "begins with http, which others can read", "give an address with https")
    if any(ip_network(one).prefixlen == 0 for one in settings.trusted_proxies.split(",") if one):
        yield _fault("trusted_proxies", "believes everybody", "give the addresses of the proxies alone")
    if wide := _too_wide(settings.private_networks):
        why = f"names {', '.join(wide)}, in which strangers are, too"
        yield _fault("private_networks", why, "give the networks of your own machines alone")


def _database(settings: Settings) -> Iterator[Fault]:
    for name, url in _databases(settings).items():
        given = conninfo.conninfo_to_dict(libpq_url(url))
        hosts = str(given.get("hostaddr") or given.get("host") or os.environ.get("PGHOST", "")).split(",")
        far = [host for host in hosts if not reached_unseen(host, _unseen(settings))]
        mode = str(given.get("sslmode") or os.environ.get("PGSSLMODE", ""))
        if far and mode not in PROVEN:
            lacking = "a proof of who answers" if mode == "require" else "certain encryption"
            why = f"leads to {', '.join(far)} without {lacking}"
            yield _fault(name, why, f"let it end with ?sslmode=verify-full, {UNSEEN}")


def _ways(settings: Settings) -> Iterator[Fault]:
    """Connections by which secrets and contacts leave this machine."""
    for name in ("prefect_url", "s3_endpoint", "s3_public_endpoint"):
        parts = urlsplit(getattr(settings, name) or "")
        if parts.scheme == "http" and not reached_unseen(parts.hostname or "", _unseen(settings)):
            yield _fault(name, f"leads to {parts.hostname} by http, which others can read", f"take https, {UNSEEN}")
    host = settings.smtp_host
    if host and settings.smtp_security == "none" and not reached_unseen(host, _unseen(settings)):
        why = f"is none, and others can read what goes to {host}"
        yield _fault("smtp_security", why, f"take starttls or tls, {UNSEEN}")


def _places(settings: Settings) -> Iterator[Fault]:
    """Neither is quoted: who writes an address of a bucket may write the key into it."""
    if settings.files and not _is_place(settings.files, only_s3=True):
        yield _fault("files", "is no s3://BUCKET/PREFIX", f"give one, or set {variable('home')} to a folder instead")
    if settings.backup_to and not _is_place(settings.backup_to):
        yield _fault("backup_to", "is neither a whole path nor s3://BUCKET/PREFIX", "give one of the two")


def _is_place(address: str, *, only_s3: bool = False) -> bool:
    try:
        return file_places.is_s3(file_places.checked(address)) or not only_s3
    except InvalidInput:
        return False


def _payments(settings: Settings) -> Iterator[Fault]:
    lacking = [name for name in NEEDED if not getattr(settings, name)]
    if 0 < len(lacking) < len(NEEDED):
        for name in lacking:
            yield _fault(name, "is missing, so that nobody can pay", "give it, or leave all three of Razorpay's out")


def _is_email(address: str) -> bool:
    from models.accounts import clean_email

    try:
        return bool(clean_email(address))
    except InvalidInput:
        return False


def _unseen(settings: Settings) -> str:
    """The private networks that can be such: the others excuse nothing."""
    wide = _too_wide(settings.private_networks)
    return ",".join(one for one in settings.private_networks.split(",") if one not in wide)


def _too_wide(networks: str) -> list[str]:
    """Those that are wider than any which is somebody's own: 10.0.0.0/8, fc00::/7."""
    known = {one: ip_network(one) for one in networks.split(",") if one}
    return [one for one, network in known.items() if network.prefixlen < (8 if network.version == 4 else 7)]


def _debugging(settings: Settings) -> Iterator[Fault]:
    if settings.log_level == "debug":
        yield _fault("log_level", "is debug, which tells too much", "take info")
    for name, values in DEBUGGING.items():
        if os.environ.get(name, "").lower() in values:
            yield Fault(name, f"is {os.environ[name]}, which is for debugging", "unset it")


def _databases(settings: Settings) -> dict[str, str]:
    """The addresses by the names of their settings."""
    found = {name: getattr(settings, name, None) for name in DATABASES}
    return {name: secret.get_secret_value() for name, secret in found.items() if secret is not None}


def _fault(name: str, wrong: str, way_out: str) -> Fault:
    return Fault(variable(name), wrong, way_out)
