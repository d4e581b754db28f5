#!/bin/sh
# Prints the lines for a crontab that does the backups; nothing else is needed (errata 12, 21).
# Not needed where the process `chores` or the timers run: they do the same by themselves.
set -u
ytempire=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)/ytempire

cat <<LINES
0 * * * * $ytempire backup --class hourly
0 2 * * * $ytempire backup --class daily
0 3 * * 0 $ytempire backup --class weekly
LINES
