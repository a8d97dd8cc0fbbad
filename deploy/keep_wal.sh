#!/bin/sh
# The archive_command of the embedded server, and of the one in containers: puts the finished piece $1 of its write-ahead log, named $2, into the folder $3.
# What lies there without a dot before its name is whole and on the disk. The server may ask again for a piece that it
# gave before a crash: the same one is fine, and another one of that name is refused, for ever.
set -eu
kept="$3/$2"
if [ -e "$kept" ]; then
    exec cmp "$1" "$kept"
fi
cp "$1" "$3/.$2.new"
sync "$3/.$2.new"
mv "$3/.$2.new" "$kept"
sync "$3"
