#!/bin/sh
# Run in PostgreSQL's container, by a timer of its host: copies the whole server into a base beside the archived log, and
# removes bases but the newest ones, and what of the log none of those that are left needs. A base has the name of the
# moment from which on it can be restored. It fails, and says so, where the log has a gap.
#
#   keep_base.sh [how many bases are kept: 7]
set -eu
kept=/var/lib/wal
number=${1:-7}
case "$number" in *[!0-9]* | 0*) echo "Say how many bases are kept: 1 or more." >&2 && exit 2 ;; esac
case $(psql -U postgres -qAtc "SHOW archive_command") in
    *keep_wal.sh*) ;;
    *) echo "The log is not archived: bring the database up with wal.env." >&2 && exit 1 ;;
esac
mkdir -p -m 700 "$kept/bases"
exec 9< "$kept/bases"
flock -n 9 || { echo "Another base is being made." >&2 && exit 1; }
new="$kept/bases/.new"
rm -rf "$new" # of a run that was cut short
# The log of its own time is in the archive before it ends.
pg_basebackup -U postgres -D "$new" -c fast -X none --no-password
pg_verifybackup -q -n "$new"
name=$(date -u +%Y%m%dT%H%M%SZ)
sync "$new"
mv -T "$new" "$kept/bases/$name"
sync "$kept/bases"
ls "$kept/bases" | head -n "-$number" | while read -r old; do rm -rf "${kept:?}/bases/$old"; done
# After the database came back to a moment a newer base may be earlier in the log than an older one.
for base in $(ls "$kept/bases"); do
    sed -n 's/^START WAL LOCATION: .*(file \(.*\))$/\1/p' "$kept/bases/$base/backup_label"
done | sort -k 1.9 | head -n 1 | xargs pg_archivecleanup "$kept"
since="" missing=""
for base in $(ls -r "$kept/bases"); do
    missing=$(missing_log.sh "$base")
    [ -z "$missing" ] || break
    since=$base
done
if [ -n "$missing" ]; then
    printf 'Missing of the log, so that nothing from there on can be restored from a base before it:\n%s\n' "$missing" >&2
fi
echo "The base $name is kept; any moment since $since can be restored."
[ -z "$missing" ]
