#!/bin/sh
# Takes an instance out of the site, and lets it in again: `instance.sh down 127.0.0.1:8361`, `instance.sh up ...`.
# From then on it gets nothing new. Tabs that are open at it stay until it stops; then they go on at another one.
# `instance.sh unready ...` takes it out, too, until watch.sh finds that it is ready; “down” is for a person to end.
set -eu
conf=${NGINX_CONF:-/etc/nginx/nginx.conf}
instances=$(dirname "$conf")/appointment360/instances.conf
exec 9> "$instances.lock"
flock 9
case "$1" in
    down) ending=" down;" ;;
    unready) ending=" down; # not ready" ;;
    up) ending=";" ;;
    *) echo "Say down or up." >&2; exit 2 ;;
esac
awk -v name="$2" '$2 == name { found = 1 } END { exit !found }' "$instances" \
    || { echo "$2 is none of the instances of $instances." >&2; exit 2; }
awk -v name="$2" -v ending="$ending" \
    '$2 == name { sub(/( down)?;.*/, ""); print $0 ending; next } { print }' "$instances" > "$instances.new"
grep -qv " down;" "$instances.new" || { echo "No instance would be left." >&2; rm "$instances.new"; exit 1; }
mv "$instances.new" "$instances"
nginx -t -q -c "$conf"
nginx -c "$conf" -s reload
