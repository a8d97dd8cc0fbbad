#!/bin/sh
# Takes this host to another release without a pause, or back to the one before: `roll.sh NAME`. As root, once
# `install.sh --beside` put the release in place; on one host after the other.
#
# The release migrates first; the one before runs on its schema, too. Then each instance of the web is taken out of
# nginx, starts again, and is let in when it is ready; workers finish what they run. Where something does not start it
# stops there, with the other instances untouched: `roll.sh` with the name of the release before goes back.
set -eu
case "${1:-}" in -h | --help) sed -n '2,/^set -eu/{s/^# \{0,1\}//;/^set -eu/d;p}' "$0"; exit ;; esac
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 1 ] || { echo "Say which release: one of those in /opt/appointment360/releases." >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "Only root may do that." >&2; exit 2; }
instances=${NGINX_CONF:-/etc/nginx/nginx.conf}
instances=$(dirname "$instances")/appointment360/instances.conf

units() { # pattern
    systemctl list-units --plain --no-legend --state=active,activating,failed "$1" | sed 's/ .*//'
}

in_nginx() { # port; whether the nginx of this host sends people there: what somebody took out stays out
    [ -e "$instances" ] && grep "^server 127.0.0.1:$1 " "$instances" | grep -qv " down;$"
}

alone() { # whether it is the only instance that nginx knows
    [ "$(grep -c "^server " "$instances")" = 1 ]
}

before=$(basename "$(readlink /opt/appointment360/current)")
"$here/install.sh" --use "$1"
# What starts again by itself meanwhile would be the new release, on the schema of before.
if ! systemctl restart appointment360-migrate.service; then
    systemctl stop appointment360-migrate.service
    "$here/install.sh" --use "$before"
    echo "The database is not what $1 needs: journalctl -u appointment360-migrate says why. Nothing was replaced." >&2
    exit 1
fi
echo "Migrated: the database has what $1 needs."
for unit in $(units 'appointment360-web@*.service'); do
    port=${unit#*@}
    port=${port%.service}
    taken_out=no
    if in_nginx "$port"; then
        if alone; then
            echo "$unit is the only one: until it is ready nobody is served."
        else
            "$here/../nginx/instance.sh" down "127.0.0.1:$port"
            taken_out=yes
        fi
    fi
    systemctl restart "$unit" # returns once it is ready
    if [ $taken_out = yes ]; then "$here/../nginx/instance.sh" up "127.0.0.1:$port"; fi
    echo "Replaced: $unit"
done
for unit in $(units appointment360-prefect.service) $(units 'appointment360-worker@*.service'); do
    systemctl restart "$unit"
    echo "Replaced: $unit"
done
systemctl try-restart appointment360-instances.service # whose script is the release's, too
