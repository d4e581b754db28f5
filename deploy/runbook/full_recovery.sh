#!/bin/sh
# The whole system on a bare machine. Stands for `./ytempire recover` (errata 8, 22).
set -u
ytempire=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)/ytempire

exec "$ytempire" recover "$@"
