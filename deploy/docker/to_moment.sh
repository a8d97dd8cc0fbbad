#!/bin/sh
# Run in place of PostgreSQL, while its container is stopped: lays out the newest base from before a moment, and lets the
# next start apply the archived log up to it; with "latest", up to its end. What was there stays beside it, under a name
# with "before". Beside a running server it is not started, since it has its address.
#
# After a server came back to a moment its log goes on as another timeline, and the one that was left stays. A moment is
# meant as people saw it then: on the timeline that was the newest at that time, by when its history was archived.
#
#   to_moment.sh "2026-11-27 14:30:00+01"
#   to_moment.sh latest
set -eu
kept=/var/lib/wal
data=/var/lib/postgresql/18/docker
case "${1:-}" in
    latest) asked=now ;;
    *[0-9]*) asked=$1 ;;
    *) echo 'Say which moment, such as "2026-11-27 14:30:00+01", or latest.' >&2 && exit 2 ;;
esac
nanoseconds=$(date -d "$asked" +%s%N)
moment=$(date -u -d "@${nanoseconds%?????????}.${nanoseconds#"${nanoseconds%?????????}"}" "+%Y-%m-%d %H:%M:%S.%N+00")
newest=$(date -u -d "$moment" +%Y%m%dT%H%M%SZ)

timeline=1
for history in "$kept"/*.history; do
    [ -e "$history" ] && [ "$(date -r "$history" +%s%N)" -le "$nanoseconds" ] || continue
    name=$(basename "$history" .history)
    timeline=$((0x$name))
done

place() { # of the log, as in 0/3000120, as a number
    echo $((0x${1%/*} * 4294967296 + 0x${1#*/}))
}

leads_there() { # base: whether it ended on that timeline, or on one of those before it, while that was not yet left
    set -- $(sed -n 's/.*"Timeline": \([0-9]*\),.*"End-LSN": "\([0-9A-F/]*\)".*/\1 \2/p' "$kept/bases/$1/backup_manifest" | tail -n 1)
    [ "$1" != "$timeline" ] || return 0
    left=$(awk -v timeline="$1" '$1 == timeline { print $2 }' "$kept/$(printf %08X "$timeline").history" 2> /dev/null)
    [ -n "$left" ] && [ "$(place "$2")" -le "$(place "$left")" ]
}

base=""
for one in $(ls "$kept/bases" | awk -v newest="$newest" '$0 <= newest'); do
    if leads_there "$one"; then base=$one; fi
done
if [ -z "$base" ]; then
    echo "There is no base from before $1." >&2
    exit 1
fi
missing=$(missing_log.sh "$base")
if [ -n "$missing" ]; then
    printf 'Of the log is missing, and nothing after it can be restored from %s:\n%s\n' "$base" "$missing" >&2
    [ "$1" != latest ] || exit 1
fi
pg_verifybackup -q -n "$kept/bases/$base"
mkdir -p "$(dirname "$data")" # where the volume is new
rm -rf "$data.new" # of a run that was cut short
cp -a "$kept/bases/$base" "$data.new"
sed -i '/^\(restore_command\|recovery_target\)/d' "$data.new/postgresql.auto.conf" # of a base of after an earlier return
cat >> "$data.new/postgresql.auto.conf" << SETTINGS
restore_command = 'cp "$kept/%f" "%p"'
recovery_target_timeline = '$timeline'
SETTINGS
if [ "$1" = latest ]; then
    moment="the end of the log"
else
    cat >> "$data.new/postgresql.auto.conf" << SETTINGS
recovery_target_time = '$moment'
recovery_target_action = 'promote'
SETTINGS
fi
touch "$data.new/recovery.signal"
[ ! -e "$data" ] || mv "$data" "$data.before-$(date -u +%Y%m%dT%H%M%SZ)"
mv "$data.new" "$data"
sync "$(dirname "$data")"
echo "The next start brings $base to $moment."
