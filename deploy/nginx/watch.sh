#!/bin/sh
# Asks each instance every few seconds by itself whether it is ready. One that twice in a row is not, while another one
# is, gets nothing more from nginx until it is ready again. What a person took out stays out, and where none is ready all
# stay: what they lack is not one's own.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
instances=$(dirname "${NGINX_CONF:-/etc/nginx/nginx.conf}")/appointment360/instances.conf
every=${EVERY:-5}
missed=" "

is_ready() { # address
    curl -sf -o /dev/null --noproxy '*' --max-time 10 "http://$1/readyz"
}

# Where nginx cannot be told, an end: systemd starts this again, with the files of nginx that there are by then.
told() { # what, address; 1 is that it is the last one
    "$here/instance.sh" "$1" "$2" || [ $? = 1 ] || exit 1
}

look() {
    ready="" unready=""
    for address in $(awk '!/down;$/ { print $2 }' "$instances"); do # but for those that a person took out
        if is_ready "$address"; then ready="$ready $address"; else unready="$unready $address"; fi
    done
    for address in $ready; do
        if awk -v name="$address" '$2 == name && /not ready$/ { found = 1 } END { exit !found }' "$instances"; then
            echo "$address is ready again."
            told ready "$address"
        fi
    done
    before=$missed missed=" "
    [ -n "$ready" ] || return 0
    for address in $unready; do
        missed="$missed$address "
        case "$before" in *" $address "*) ;; *) continue ;; esac
        if awk -v name="$address" '$2 == name && !/down;/ { found = 1 } END { exit !found }' "$instances"; then
            echo "$address is not ready: it gets nothing more."
            told unready "$address"
        fi
    done
}

while :; do
    look
    sleep "$every"
done
