#!/bin/sh
# The command line with the user, the settings and the secrets of the services, for root:
# `appointment360 users list`. Files are read and written as that user.
set -eu
if [ "$(id -u)" != 0 ]; then
    echo "appointment360 needs root here, to take on the settings and secrets of the services: sudo appointment360 ..." >&2
    exit 2
fi
if [ -t 0 ] && [ -t 1 ]; then through=--pty; else through=--pipe; fi
# systemd would take a $ of a word for the beginning of a variable.
for word in "$@"; do
    shift
    set -- "$@" "$(printf '%s' "$word" | sed 's/\$/$$/g')"
done
exec systemd-run --quiet --wait --collect "$through" --service-type=exec \
    -p User=appointment360 -p Group=appointment360 -p WorkingDirectory=-"$PWD" -p UMask=0077 \
    -p Environment=APPOINTMENT360_HOME=/var/lib/appointment360 -p EnvironmentFile=/etc/appointment360/env \
    -p LoadCredential=appointment360:/etc/appointment360/secrets -p NoNewPrivileges=yes \
    /opt/appointment360/current/bin/appointment360 "$@"
