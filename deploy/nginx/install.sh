#!/bin/sh
# Puts the configuration in place for one name and its instances. A second run replaces what the first one wrote.
#
#   install.sh --name contacts.example.com --instance 127.0.0.1:8361 --instance 127.0.0.1:8362
#
# --store 10.0.0.7:7070/BUCKET lets browsers fetch exports of that bucket, by addresses that an instance signed.
# --http and --https are the ports to listen at (80, 443), --public-port the one that people see where it is another
# one; --listen the addresses (all); --etc, --run, --log, --cache, --webroot the folders. nginx is not started here.
set -eu
case "${1:-}" in -h | --help) sed -n '2,/^set -eu/{s/^# \{0,1\}//;/^set -eu/d;p}' "$0"; exit ;; esac
umask 022
here=$(cd "$(dirname "$0")" && pwd)
name="" instances="" store="" listen="" http=80 https=443 public_port=""
etc=/etc/nginx run=/run log=/var/log/nginx cache=/var/cache/nginx webroot=/var/www/acme

wrong() { echo "$1" >&2; exit 2; }

while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || wrong "$1 needs a value."
    case "$2" in *[!A-Za-z0-9./:_\[\]-]*) wrong "$1 $2: only letters, digits and . / : _ - [ ] are possible." ;; esac
    case "$1" in
        --name) name=$2 ;;
        --instance) instances="$instances $2" ;;
        --store) store=$2 ;;
        --listen) listen="$listen $2" ;;
        --http) http=$2 ;;
        --https) https=$2 ;;
        --public-port) public_port=$2 ;;
        --etc) etc=$2 ;;
        --run) run=$2 ;;
        --log) log=$2 ;;
        --cache) cache=$2 ;;
        --webroot) webroot=$2 ;;
        *) wrong "$1 is no option of this." ;;
    esac
    shift 2
done
[ -n "$name" ] || wrong "Say with --name how people reach the site."
case "$store" in "" | ?*:?*/?*) ;; *) wrong "--store $store: write it as 10.0.0.7:7070/BUCKET." ;; esac
[ -n "$instances" ] || wrong "Say with --instance where each instance of the web is, as in 127.0.0.1:8361."
if [ -z "$listen" ]; then
    listen="0.0.0.0"
    if grep -q . /proc/net/if_inet6 2> /dev/null; then listen="$listen [::]"; fi
fi
public=$name
[ "${public_port:-$https}" = 443 ] || public="$name:${public_port:-$https}"
parts=$etc/appointment360

listening() { # port, what follows it
    for address in $listen; do printf '    listen %s:%s%s;\\n' "$address" "$1" "$2"; done | sed 's/\\n$//'
}

# From 1.25.1 on HTTP/2 has a line of its own, and nginx says so wherever it finds it in the other place.
version=$(nginx -v 2>&1 | sed 's|.*/\([0-9.]*\).*|\1|')
if [ "$(printf '%s\n' 1.25.1 "$version" | sort -V | head -n 1)" = 1.25.1 ]; then
    with_http2=" ssl" http2="    http2 on;"
else
    with_http2=" ssl http2" http2=""
fi

filled() { # file
    sed -e "s|@NAME@|$name|g" -e "s|@PUBLIC@|$public|g" -e "s|@PARTS@|$parts|g" -e "s|@RUN@|$run|g" \
        -e "s|@STORE@|${store%%/*}|g" -e "s|@BUCKET@|${store#*/}|g" \
        -e "s|@LOG@|$log|g" -e "s|@CACHE@|$cache|g" -e "s|@WEBROOT@|$webroot|g" -e "s|@TLS@|$parts/tls|g" \
        -e "s|@LISTEN_HTTP@|$(listening "$http" "")|" -e "s|@LISTEN_HTTPS@|$(listening "$https" "$with_http2")\n$http2|" \
        -e "s|@LISTEN_HTTP_DEFAULT@|$(listening "$http" " default_server")|" \
        -e "s|@LISTEN_HTTPS_DEFAULT@|$(listening "$https" "$with_http2 default_server")\n$http2|" "$1"
}

mkdir -p "$parts/pages" "$parts/local" "$parts/tls" "$run" "$log" "$cache" "$webroot/.well-known/acme-challenge"
exec 9> "$parts/instances.conf.lock"
flock 9 # of instance.sh
kept=$(mktemp -d)
trap 'rm -r "$kept"' EXIT
cp "$parts"/*.conf "$kept" 2> /dev/null || true
[ ! -f "$etc/nginx.conf" ] || cp "$etc/nginx.conf" "$kept/.nginx.conf"
for part in "$here"/parts/*.conf; do
    filled "$part" > "$parts/$(basename "$part")"
done
ls /etc/nginx/modules-enabled/*brotli-filter.conf > /dev/null 2>&1 || rm "$parts/brotli.conf"
[ -n "$store" ] || : > "$parts/store.conf"
cp "$here"/pages/error.html "$here"/pages/error.json "$parts/pages/"

# What was taken out stays out, but not all of them.
[ -e "$kept/instances.conf" ] || : > "$kept/instances.conf"
for instance in $instances; do
    awk -v name="$instance" '$2 == name && / down;/ { ending = $0; sub(/.*s down/, " down", ending) }
        END { print "server " name " max_fails=2 fail_timeout=10s" (ending ? ending : ";") }' "$kept/instances.conf"
done > "$parts/instances.conf"
grep -qv " down;" "$parts/instances.conf" || sed -i 's/ down;.*/;/' "$parts/instances.conf"

# nginx does not start without a certificate, and the first one is issued through nginx: until then one of our own.
if [ ! -e "$parts/tls/current/fullchain.pem" ]; then
    "$here/../certificates/placeholder.sh" "$name" "$parts/tls"
fi

if [ -f "$etc/nginx.conf" ] && [ ! -e "$etc/nginx.conf.before" ]; then
    cp "$etc/nginx.conf" "$etc/nginx.conf.before"
fi
filled "$here/nginx.conf" > "$etc/nginx.conf"
if ! nginx -t -q -c "$etc/nginx.conf"; then
    if [ -f "$kept/.nginx.conf" ] && [ -s "$kept/site.conf" ]; then
        rm "$parts"/*.conf
        cp "$kept"/*.conf "$parts"
        cp "$kept/.nginx.conf" "$etc/nginx.conf"
        echo "nginx does not take it: what was there before is there again." >&2
    fi
    exit 1
fi
