#!/bin/sh
# Has a certificate issued for the name $1, over HTTP-01 through the running nginx; the authority writes to the e-mail
# address $2. What follows goes to certbot, as in `--server URL`. Where the certificate lasts, nothing is done.
#
#   obtain.sh contacts.example.com admin@example.com
#
# certbot notes all of it: its timer renews, and calls renewed.sh after each renewal.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
name=$1 mail=$2
shift 2
exec certbot certonly --non-interactive --agree-tos --email "$mail" --cert-name "$name" --domain "$name" \
    --webroot --webroot-path "${WEBROOT:-/var/www/acme}" --key-type ecdsa --keep-until-expiring \
    --deploy-hook "$here/renewed.sh" "$@"
