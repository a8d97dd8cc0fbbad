#!/bin/sh
# Run in PostgreSQL's container, by a timer of its host: copies the whole server into a base beside the archived log, and
# removes bases but the newest ones, and what of the log is older than the oldest that is left. A base has the name of the
# moment from which on it can be restored.
#
#   keep_base.sh [how many bases are kept: 7]
set -eu
kept=/var/lib/wal
number=${1:-7}
case $(psql -U postgres -qAtc "SHOW archive_command") in
    *keep_wal.sh*) ;;
    *) echo "The log is not archived: bring the database up with wal.env." >&2 && exit 1 ;;
esac
mkdir -p -m 700 "$kept/bases"
new="$kept/bases/.new"
rm -rf "$new" # of a run that was cut short
# The log of its own time is in the archive before it ends.
pg_basebackup -U postgres -D "$new" -c fast -X none --no-password
pg_verifybackup -q -n "$new"
name=$(date -u +%Y%m%dT%H%M%SZ)
sync "$new"
mv "$new" "$kept/bases/$name"
sync "$kept/bases"
ls "$kept/bases" | head -n "-$number" | while read -r old; do rm -rf "${kept:?}/bases/$old"; done
oldest=$(ls "$kept/bases" | head -n 1)
pg_archivecleanup "$kept" "$(sed -n 's/^START WAL LOCATION: .*(file \(.*\))$/\1/p' "$kept/bases/$oldest/backup_label")"
echo "The base $name is kept; any moment since $oldest can be restored."
