#!/bin/sh
# certbot's deploy hook: nginx takes the certificate in RENEWED_LINEAGE, if it can be used. No connection is refused:
# the old processes serve what they have until the new ones listen. Where nginx refuses it, the one before stays.
set -eu
conf=${NGINX_CONF:-/etc/nginx/nginx.conf}
tls=$(dirname "$conf")/appointment360/tls
before=$(readlink "$tls/current")

point() { ln -sfn "$1" "$tls/next" && mv -T "$tls/next" "$tls/current"; }

point "$RENEWED_LINEAGE"
if ! nginx -t -q -c "$conf"; then
    point "$before"
    echo "nginx does not take the certificate in $RENEWED_LINEAGE; the one before stays." >&2
    exit 1
fi
nginx -c "$conf" -s reload
