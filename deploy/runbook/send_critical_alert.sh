#!/bin/sh
# Tells everybody that YTEMPIRE_ALERTS_TO names. Stands for `./ytempire alert TEXT`; needs no factory that runs.
set -u
ytempire=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)/ytempire

exec "$ytempire" alert "$@"
