#!/bin/sh
# Installs Appointment360 from this copy of its source on a Debian 12 or newer, for systemd to run. As root:
#
#   deploy/systemd/install.sh --public-url https://contacts.example.com --admin-email admin@example.com
#
# --web PORT       an instance of the web; may be given several times (8361 and 8362)
# --workers N      so many workers (2)
# --prefect no     where the server of Prefect runs on another machine
# --database URL   its address without a password (postgresql://appointment360@localhost:5432/appointment360)
# --backup-to DIR  where backups go: a folder, which the services may then write to, or s3://BUCKET/PREFIX
# --release NAME   what the release is called (the version)
# --beside         put the release beside the one that is in use, and use it later: `install.sh --use NAME`
# --use NAME       use a release that is there; units that run keep theirs until they start again
# --python PROGRAM which Python it runs with, 3.11 or newer (python3)
#
# A second run changes nothing but what is not there yet or older. Nothing is started: `systemctl start
# appointment360.target` does that. Settings and secrets that are there stay.
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
base=/opt/appointment360
units=/etc/systemd/system
settings=/etc/appointment360
public_url="" admin_email="" web="" workers=2 prefect=yes python=python3 beside=no use="" release=""
database=postgresql://appointment360@localhost:5432/appointment360
backup_to="" units_wanted=no

say() { printf '%s\n' "$*"; }
wrong() { say "$*" >&2; exit 2; }

while [ $# -gt 0 ]; do
    case "$1" in -h | --help) sed -n '2,/^set -eu/{s/^# \{0,1\}//;/^set -eu/d;p}' "$0"; exit ;; esac
    if [ "$1" = --beside ]; then beside=yes; shift; continue; fi
    [ $# -ge 2 ] || wrong "$1 needs a value, or is no option of this."
    case "$1" in
        --public-url) public_url=$2 ;;
        --admin-email) admin_email=$2 ;;
        --web) web="$web $2" ;;
        --workers) workers=$2 ;;
        --prefect) prefect=$2 ;;
        --database) database=$2 ;;
        --backup-to) backup_to=$2 ;;
        --release) release=$2 ;;
        --use) use=$2 ;;
        --python) python=$2 ;;
        *) wrong "$1 is no option of this." ;;
    esac
    case "$1" in --web | --workers | --prefect) units_wanted=yes ;; esac
    shift 2
done
[ "$(id -u)" = 0 ] || wrong "Only root may install it."
case "$workers$web" in *[!0-9\ ]*) wrong "--web and --workers are numbers." ;; esac
case "$backup_to" in
    *[[:space:]%\"\']*) wrong "--backup-to: no spaces, quotes or % are possible." ;;
    "" | /* | s3://*) ;;
    *) wrong "--backup-to is a folder from / on, or s3://BUCKET/PREFIX." ;;
esac
case "$prefect" in yes | no) ;; *) wrong "--prefect is yes or no." ;; esac
case "$release$use" in *[!A-Za-z0-9._+-]* | .*) wrong "A release has letters, digits and . _ + - in its name." ;; esac

switch() { # release
    [ -e "$base/releases/$1/.complete" ] || wrong "There is no release $1 in $base/releases."
    if [ "$(readlink "$base/current" || true)" = "releases/$1" ]; then
        say "In use: release $1, as before."
    else
        ln -sfn "releases/$1" "$base/current.new"
        mv -T "$base/current.new" "$base/current"
        say "In use: release $1. Units that run keep theirs until they start again."
    fi
    # What belongs to a release goes with it, there and back.
    own=$base/current/deploy/systemd
    for unit in "$own"/units/*; do
        install -m 0644 "$unit" "$units/$(basename "$unit")"
    done
    # From 254 on systemd waits longer each time; before, it takes these lines for mistakes.
    if [ "$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')" -ge 254 ]; then
        for unit in web@ prefect worker@; do
            mkdir -p "$units/appointment360-$unit.service.d"
            printf '[Service]\nRestartSteps=6\nRestartMaxDelaySec=2min\n' \
                > "$units/appointment360-$unit.service.d/pauses.conf"
        done
    fi
    install -m 0644 "$own/logrotate.conf" /etc/logrotate.d/appointment360
    mkdir -p /usr/local/bin
    install -m 0755 "$own/command.sh" /usr/local/bin/appointment360
    if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
}

if [ -n "$use" ]; then
    switch "$use"
    exit
fi

# --- What the machine lacks
missing=""
command -v "$python" > /dev/null || missing="$missing $python"
command -v logrotate > /dev/null || missing="$missing logrotate"
command -v curl > /dev/null || missing="$missing curl"
command -v uv > /dev/null || "$python" -c 'import ensurepip' 2> /dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
    say "Debian's packages:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing > /dev/null
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || wrong "$python is older than 3.11."

# --- Who runs it, and where
install -D -m 0644 "$here/sysusers.conf" /etc/sysusers.d/appointment360.conf
install -D -m 0644 "$here/tmpfiles.conf" /etc/tmpfiles.d/appointment360.conf
systemd-sysusers appointment360.conf
systemd-tmpfiles --create appointment360.conf
say "User and folders: appointment360, $settings, $base, /var/lib/appointment360."

# --- The program: a release has an environment of its own, and nobody writes to it later
export UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never
unset PYTHONDONTWRITEBYTECODE VIRTUAL_ENV
exec 9> "$base/.lock"
flock 9 # another one that installs would take what is half made for what a run left that was cut off
[ -n "$release" ] || release=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$source/pyproject.toml")
[ -n "$release" ] || wrong "$source/pyproject.toml has no version: name the release by --release."
place=$base/releases/$release
content=$(cd "$source" && find models data_checks pipelines dashboard deploy pyproject.toml requirements.lock \
    -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
if [ -e "$place/.complete" ]; then
    [ "$(cat "$place/.complete")" = "$content" ] \
        || wrong "There is another release $release in $place. Give this one a name of its own: --release NAME."
    say "Release $release: is there."
else
    tools=$source/deploy/docker/build-requirements.txt
    if ! command -v uv > /dev/null; then
        [ -x "$base/tools/bin/uv" ] || "$python" -m venv "$base/tools"
        "$base/tools/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$tools"
        PATH=$base/tools/bin:$PATH
    fi
    built=$(mktemp -d)
    trap 'rm -r "$built"' EXIT
    rm -rf "$place" # what a run that was cut off left there
    # The lines of requirements.lock whose names a resolution without the development group has.
    cd "$source" # uv takes the versions in pyproject.toml from where it is
    uv pip compile -q --no-header --no-annotate --python "$python" pyproject.toml -o "$built/names"
    awk 'NR == FNR { wanted[$1]; next } /^[^ ]/ { keep = $1 in wanted } keep' \
        "$built/names" "$source/requirements.lock" > "$built/lock"
    uv build -q --wheel --build-constraint "$tools" --require-hashes --python "$python" --out-dir "$built" .
    uv venv -q --python "$(command -v "$python")" "$place"
    uv pip sync -q --require-hashes --python "$place/bin/python" "$built/lock"
    uv pip install -q --no-deps --python "$place/bin/python" "$built"/*.whl
    uv pip check -q --python "$place/bin/python"
    # Units may not write here: what is not compiled now would be compiled at each start of each process.
    "$place/bin/python" -m compileall -q -j 0 "$place/lib"
    ln -s "$(cd "$place" && echo lib/python3*/site-packages/deploy)" "$place/deploy"
    rm -f "$place/.lock" # uv's, which everybody may write to
    echo "$content" > "$place/.complete"
    say "Release $release: installed in $place."
fi
if [ "$beside" = yes ] && [ -e "$base/current" ]; then
    say "In use: $(readlink "$base/current"), as before. For this one: $0 --use $release"
    exit
fi
switch "$release"

# --- Settings and secrets
first=""
if [ -e "$settings/env" ]; then
    say "Settings: $settings/env stays as it is."
    first=--no-admin
else
    setting() { # name, value
        sed -i "s|^#$1=.*|$1=$2|" "$settings/env.new"
        grep -qxF "$1=$2" "$settings/env.new" || wrong "deploy/env.example has no $1."
    }
    install -m 0600 "$source/deploy/env.example" "$settings/env.new"
    setting APPOINTMENT360_ENVIRONMENT production
    setting APPOINTMENT360_TRUSTED_PROXIES 127.0.0.1
    setting APPOINTMENT360_LOG_FORMAT json
    [ "$prefect" = no ] || setting APPOINTMENT360_PREFECT_URL http://127.0.0.1:4200
    [ -z "$public_url" ] || setting APPOINTMENT360_PUBLIC_URL "$public_url"
    [ -z "$admin_email" ] || setting APPOINTMENT360_ADMIN_EMAIL "$admin_email"
    [ -z "$admin_email" ] || setting APPOINTMENT360_SECURITY_CONTACT "$admin_email"
    [ -z "$backup_to" ] || setting APPOINTMENT360_BACKUP_TO "$backup_to"
    mv "$settings/env.new" "$settings/env"
    say "Settings: $settings/env was made from deploy/env.example."
fi
# shellcheck disable=SC2086
"$base/current/bin/appointment360" secrets new --into "$settings/secrets" --database "$database" $first > /dev/null
say "Secrets: $settings/secrets has a file for each; systemd hands them to the units."

case "$backup_to" in
    /*)
        install -d -o appointment360 -g appointment360 -m 0700 "$backup_to"
        for unit in backup worker@; do
            mkdir -p "$units/appointment360-$unit.service.d"
            # Where the folder is not there, as a share that is not mounted, the unit starts without it.
            printf '[Service]\nReadWritePaths=-%s\n' "$backup_to" > "$units/appointment360-$unit.service.d/backups.conf"
        done
        say "Backups: workers may write to $backup_to."
        ;;
esac
if [ -n "$backup_to" ] && ! grep -qxF "APPOINTMENT360_BACKUP_TO=$backup_to" "$settings/env"; then
    say "Backups: for them to go there, $settings/env has to say APPOINTMENT360_BACKUP_TO=$backup_to"
fi

# --- Units
wanted="appointment360.target appointment360-migrate.service appointment360-certificate.timer"
wanted="$wanted appointment360-instances.service"
[ "$prefect" = no ] || wanted="$wanted appointment360-prefect.service"
for port in ${web:-8361 8362}; do wanted="$wanted appointment360-web@$port.service"; done
number=0
while [ "$number" -lt "$workers" ]; do
    number=$((number + 1))
    wanted="$wanted appointment360-worker@$number.service"
done
if [ -z "$first" ] || [ "$units_wanted" = yes ]; then
    # shellcheck disable=SC2086
    systemctl -q enable $wanted
    say "Units: enabled $wanted."
else
    say "Units: those that are enabled stay so."
fi
# certbot's own timer would do the same without a sandbox.
if systemctl -q is-enabled certbot.timer 2> /dev/null; then systemctl -q disable certbot.timer; fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl -q stop certbot.timer 2> /dev/null || true
fi

# --- Logs that are files
if [ -e /etc/logrotate.d/nginx ]; then
    mv /etc/logrotate.d/nginx /etc/logrotate.d/nginx.disabled # logrotate passes over files that end like that
fi
say "Logs: nginx's are rotated by /etc/logrotate.d/appointment360, all others are in the journal."
say "Next: appointment360 settings check; systemctl start appointment360.target"
