#!/bin/sh
# Makes a certificate that nobody trusts for the name $1 in the folder $2, so that nginx can start and have a real one
# issued. `current` in that folder is what nginx reads; renewed.sh lets it point to the real one.
set -eu
umask 077
mkdir -p "$2/placeholder"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=$1" \
    -addext "subjectAltName=DNS:$1" -keyout "$2/placeholder/privkey.pem" -out "$2/placeholder/fullchain.pem" 2> /dev/null
ln -sfn placeholder "$2/current"
