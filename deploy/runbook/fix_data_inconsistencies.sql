-- What the integrity guardian mends by itself every half minute, by hand: psql -U ytempire -f fix_data_inconsistencies.sql
-- Safe beside a running factory, and to do twice. A row that somebody has locked is passed over.
\set ON_ERROR_STOP on
BEGIN;

-- completed, without the time: that of its last stage
UPDATE video_queue AS v
   SET completed_at = coalesce(v.completed_at, v.ended_at, s.ended_at, now()),
       ended_at = coalesce(v.ended_at, v.completed_at, s.ended_at, now())
  FROM (SELECT q.id, (SELECT max(ended_at) FROM video_stages WHERE video_id = q.id) AS ended_at
          FROM video_queue AS q
         WHERE q.status = 'completed' AND (q.completed_at IS NULL OR q.ended_at IS NULL)
           FOR NO KEY UPDATE SKIP LOCKED) AS s
 WHERE v.id = s.id
RETURNING v.id, v.completed_at;

-- costs that cannot be: as the ledger has them, else set aside in money.costs_set_aside
SELECT id, video_id, amount, money.set_aside_cost(id) AS done
  FROM pipeline_costs WHERE amount < 0 OR amount > 10;

COMMIT;

-- counters that are not the sum of their rows: none, or the guardian says so
SELECT * FROM money.contradictions;
