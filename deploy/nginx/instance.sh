#!/bin/sh
# Takes an instance out of the site, and lets it in again: `instance.sh down 127.0.0.1:8361`, `instance.sh up ...`.
# From then on it gets nothing new. Tabs that are open at it stay until it stops; then they go on at another one.
# watch.sh says `unready` and `ready`, which do nothing where a person said “down” meanwhile: that is for them to end.
set -eu
case "${1:-}" in -h | --help) sed -n '2,/^set -eu/{s/^# \{0,1\}//;/^set -eu/d;p}' "$0"; exit ;; esac
[ $# -eq 2 ] || { echo "Say down or up, and which instance: instance.sh down 127.0.0.1:8361" >&2; exit 2; }
conf=${NGINX_CONF:-/etc/nginx/nginx.conf}
instances=$(dirname "$conf")/appointment360/instances.conf
exec 9> "$instances.lock"
flock 9
now=$(grep -F "server $2 " "$instances" || true)
case "$1" in
    down) ending=" down;" ;;
    unready) ending=" down; # not ready"; case "$now" in *" down;"*) exit ;; esac ;;
    ready) ending=";"; case "$now" in *"# not ready") ;; *) exit ;; esac ;;
    up) ending=";" ;;
    *) echo "Say down or up." >&2; exit 2 ;;
esac
awk -v name="$2" '$2 == name { found = 1 } END { exit !found }' "$instances" \
    || { echo "$2 is none of the instances of $instances." >&2; exit 2; }
awk -v name="$2" -v ending="$ending" \
    '$2 == name { sub(/( down)?;.*/, ""); print $0 ending; next } { print }' "$instances" > "$instances.new"
if ! grep -qv " down;" "$instances.new"; then
    echo "$2 is the last one that gets requests: let another one in before, by instance.sh up." >&2
    rm "$instances.new"
    exit 1
fi
# The processes of before go on with what they know until they have heard: an instance that is stopped then would have
# their requests. They end when what they serve is over, and take nothing new once their title says so.
pid=$(sed -n 's/^pid  *\(.*\);/\1/p' "$conf")
master=$(cat "$pid" 2> /dev/null || true)
workers=$(cat "/proc/$master/task/$master/children" 2> /dev/null || true)
serving() { # whether one of them takes requests
    for worker in $workers; do
        title=$({ tr '\0' ' ' < "/proc/$worker/cmdline"; } 2> /dev/null || true)
        case "$title" in *"shutting down"*) ;; *"worker process"*) return 0 ;; esac
    done
    return 1
}

cp "$instances" "$instances.before"
mv "$instances.new" "$instances"
# The file says what nginx does: where it does not take it, or cannot be told, that is what was before.
if ! nginx -t -q -c "$conf" || ! nginx -c "$conf" -s reload; then
    mv "$instances.before" "$instances"
    exit 3
fi
rm "$instances.before"
patience=300 # tenths of a second
while serving && [ $patience -gt 0 ]; do
    sleep 0.1
    patience=$((patience - 1))
done
