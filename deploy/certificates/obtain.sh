#!/bin/sh
# Has a certificate issued for the name $1, over HTTP-01 through the running nginx; the authority writes to the e-mail
# address $2. What follows goes to certbot, as in `--server URL`. Where the certificate lasts, nothing is done.
#
#   obtain.sh contacts.example.com admin@example.com
#
# certbot notes all of it: the timer of deploy/systemd, or else certbot's own, renews, and calls renewed.sh then.
set -eu
case "${1:-}" in -h | --help) sed -n '2,/^set -eu/{s/^# \{0,1\}//;/^set -eu/d;p}' "$0"; exit ;; esac
[ $# -ge 2 ] || { echo "Say the name and an e-mail address: obtain.sh contacts.example.com admin@example.com" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
name=$1 mail=$2
shift 2
certbot certonly --non-interactive --agree-tos --email "$mail" --cert-name "$name" --domain "$name" \
    --webroot --webroot-path "${WEBROOT:-/var/www/acme}" --key-type ecdsa --keep-until-expiring \
    --deploy-hook "$here/renewed.sh" "$@"
# One that was there already calls no hook: on a host that got it back nginx has the placeholder.
lineage=${LINEAGES:-/etc/letsencrypt/live}/$name
taken=$(dirname "${NGINX_CONF:-/etc/nginx/nginx.conf}")/appointment360/tls/current
if [ -d "$lineage" ] && [ "$(readlink "$taken")" != "$lineage" ]; then
    RENEWED_LINEAGE=$lineage "$here/renewed.sh"
fi
