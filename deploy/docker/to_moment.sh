#!/bin/sh
# Run in place of PostgreSQL, while its container is stopped: lays out the newest base from before a moment, and lets the
# next start apply the archived log up to it. What was there stays beside it, under a name with "before". Beside a running
# server it is not started, since it has its address.
#
#   to_moment.sh "2026-11-27 14:30:00+01"
set -eu
kept=/var/lib/wal
data=/var/lib/postgresql/18/docker
moment=$(date -u -d "$1" "+%Y-%m-%d %H:%M:%S.%N+00")
latest=$(date -u -d "$1" +%Y%m%dT%H%M%SZ)
base=$(ls "$kept/bases" | awk -v latest="$latest" '$0 <= latest' | tail -n 1)
if [ -z "$base" ]; then
    echo "There is no base from before $1." >&2
    exit 1
fi
pg_verifybackup -q -n "$kept/bases/$base"
rm -rf "$data.new" # of a run that was cut short
cp -a "$kept/bases/$base" "$data.new"
cat >> "$data.new/postgresql.auto.conf" << SETTINGS
restore_command = 'cp "$kept/%f" "%p"'
recovery_target_time = '$moment'
recovery_target_action = 'promote'
SETTINGS
touch "$data.new/recovery.signal"
[ ! -e "$data" ] || mv "$data" "$data.before-$(date -u +%Y%m%dT%H%M%SZ)"
mv "$data.new" "$data"
sync "$(dirname "$data")"
echo "The next start brings $base to $moment."
