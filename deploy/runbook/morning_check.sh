#!/bin/sh
# The morning's checklist, each line with its verdict. Stands for `./ytempire check`.
set -u
ytempire=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)/ytempire

exec "$ytempire" check "$@"
