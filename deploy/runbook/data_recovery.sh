#!/bin/sh
# Data that contradict each other. Stands for pause, backup, an integrity check, the corrections, resume (errata 12).
# Stays paused where a step fails. To go back to a backup: ./ytempire restore
set -u
ytempire=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)/ytempire

"$ytempire" pause --reason "data recovery" || exit
"$ytempire" backup || exit
"$ytempire" cli XADD stream:notices '*' type integrity.check by operator || exit
eval "$("$ytempire" env)"
psql -U ytempire -v ON_ERROR_STOP=1 -f "${ytempire%/*}/deploy/runbook/fix_data_inconsistencies.sql" || exit
exec "$ytempire" resume --reason "data recovery"
