#!/bin/sh
# Takes an instance out of the site, and lets it in again: `instance.sh down 127.0.0.1:8361`, `instance.sh up ...`.
# From then on it gets nothing new. Tabs that are open at it stay until it stops; then they go on at another one.
set -eu
conf=${NGINX_CONF:-/etc/nginx/nginx.conf}
instances=$(dirname "$conf")/appointment360/instances.conf
grep -q "^server $2 " "$instances" || { echo "$2 is none of the instances of $instances." >&2; exit 2; }
case "$1" in
    down) change="s/^(server $2 .*[0-9]s)( down)?;/\1 down;/" ;;
    up) change="s/^(server $2 .*) down;/\1;/" ;;
    *) echo "Say down or up." >&2; exit 2 ;;
esac
sed -E "$change" "$instances" > "$instances.new"
grep -qv " down;" "$instances.new" || { echo "No instance would be left." >&2; rm "$instances.new"; exit 1; }
mv "$instances.new" "$instances"
nginx -t -q -c "$conf"
nginx -c "$conf" -s reload
