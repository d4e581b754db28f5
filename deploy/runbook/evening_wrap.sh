#!/bin/sh
# The end of the day: report, backup, clean, vacuum, summary. Stands for `./ytempire wrap` (errata 12, 23).
set -u
ytempire=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)/ytempire

exec "$ytempire" wrap "$@"
