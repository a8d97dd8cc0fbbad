#!/bin/sh
# Names what is missing of the archived log from the base $1 on, and nothing where all is there: every number of the
# base's own timeline, and of each that began on it, which begins no later than behind what is there of those before.
# Pieces have 16 MB, so 256 of them have one number of a log.
set -eu
kept=/var/lib/wal
first=$(sed -n 's/^START WAL LOCATION: .*(file \(.*\))$/\1/p' "$kept/bases/$1/backup_label")

counted() { # the piece's number, without its timeline
    rest=${1#????????}
    echo $((0x${rest%????????} * 256 + 0x${rest#????????}))
}

named() { # number
    printf '%s%08X%08X' "$timeline" $(($1 / 256)) $(($1 % 256))
}

start=$(counted "$first") own=${first%????????????????}
furthest=$((start - 1))
for timeline in $(ls "$kept" | grep -xE '[0-9A-F]{24}' | cut -c 1-8 | sort -u); do
    if [ "$timeline" = "$own" ]; then
        last=$furthest
    elif grep -qs "^$((0x$own))[[:space:]]" "$kept/$timeline.history"; then
        last=""
    else
        continue
    fi
    for piece in $(ls "$kept" | grep -xE "$timeline[0-9A-F]{16}"); do
        number=$(counted "$piece")
        [ "$number" -ge "$start" ] || continue
        [ -n "$last" ] || last=$((number - 1 < furthest ? number - 1 : furthest))
        case $((number - last)) in
            1) ;;
            2) echo "$(named $((last + 1)))" ;;
            *) echo "$(named $((last + 1))) to $(named $((number - 1)))" ;;
        esac
        last=$number
        furthest=$((number > furthest ? number : furthest))
    done
done
