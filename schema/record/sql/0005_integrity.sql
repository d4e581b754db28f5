-- What the integrity guardian finds and mends. Costs, and sessions of the owner, are out of the reach of processes: they
-- mend both by these calls alone. Needs the first two files.

-- Empty while all is well, and so is what they cost.
CREATE INDEX idx_queue_untimed ON video_queue (id)
    WHERE (status = 'completed' AND completed_at IS NULL)
       OR (status IN ('completed', 'failed', 'cancelled') AND ended_at IS NULL);
CREATE INDEX idx_costs_implausible ON pipeline_costs (id) WHERE amount < 0 OR amount > 10;

-- Rows of pipeline_costs that were wrong, as they were.
CREATE TABLE money.costs_set_aside (LIKE pipeline_costs);
ALTER TABLE money.costs_set_aside ADD COLUMN set_aside_at timestamptz NOT NULL DEFAULT now();
GRANT SELECT ON money.costs_set_aside TO ytempire_app;

-- Write the costs of a reservation again, as the ledger has them. False where they are right, or the ledger has none.
CREATE FUNCTION money.rewrite_costs(p_id uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r      money.reservations%ROWTYPE;
    v_cost numeric;
BEGIN
    IF NOT EXISTS (SELECT FROM money.reservations WHERE id = p_id) THEN
        RETURN false;
    END IF;
    r := money.to_end(p_id);
    v_cost := coalesce(r.billed, r.amount);
    IF r.state NOT IN ('settled', 'unknown') OR v_cost = (
            SELECT sum(amount) FROM public.pipeline_costs WHERE reservation_id = p_id
            HAVING min(amount) >= 0 AND max(amount) <= 10) THEN
        RETURN false;
    END IF;
    INSERT INTO money.costs_set_aside SELECT * FROM public.pipeline_costs WHERE reservation_id = p_id;
    DELETE FROM public.pipeline_costs WHERE reservation_id = p_id;
    INSERT INTO public.pipeline_costs (video_id, stage, attempt, service, amount, "timestamp", reservation_id, outcome)
    SELECT r.video_id, r.stage, r.attempt, r.service, least(10, v_cost - 10 * part), r.reserved_at, p_id, r.state
      FROM generate_series(0, greatest(ceil(v_cost / 10)::integer - 1, 0)) AS part;
    RETURN true;
END $$;

-- Take an implausible row out of the costs. Says `rewritten` where the ledger knows better, else `set aside`; null where
-- it is plausible, or gone.
CREATE FUNCTION money.set_aside_cost(p_id bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c public.pipeline_costs%ROWTYPE;
BEGIN
    SELECT * INTO c FROM public.pipeline_costs WHERE id = p_id AND (amount < 0 OR amount > 10);
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF c.reservation_id IS NOT NULL AND money.rewrite_costs(c.reservation_id) THEN
        RETURN 'rewritten';
    END IF;
    WITH gone AS (DELETE FROM public.pipeline_costs WHERE id = p_id RETURNING *)
    INSERT INTO money.costs_set_aside SELECT * FROM gone;
    RETURN 'set aside';
END $$;

-- Raise a total of a day or a video to the sum of its rows, where it is less: a budget must see all that is spent. One
-- that is more stays, since it errs on the safe side. True where something was raised.
CREATE FUNCTION money.raise_counter(p_counter text, p_name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_day      date;
    v_reserved numeric;
    v_spent    numeric;
BEGIN
    IF p_counter = 'day' THEN
        v_day := p_name::date;
        INSERT INTO money.days (day) VALUES (v_day) ON CONFLICT DO NOTHING;
        PERFORM FROM money.days WHERE day = v_day FOR UPDATE;
        SELECT coalesce(sum(amount), 0) INTO v_reserved FROM money.reservations
         WHERE day = v_day AND state IN ('reserved', 'sent');
        SELECT coalesce(sum(amount), 0) INTO v_spent FROM public.pipeline_costs
         WHERE "timestamp" >= v_day::timestamp AT TIME ZONE 'UTC'
           AND "timestamp" < (v_day + 1)::timestamp AT TIME ZONE 'UTC';
        UPDATE money.days SET reserved = greatest(reserved, v_reserved), spent = greatest(spent, v_spent)
         WHERE day = v_day AND (reserved < v_reserved OR spent < v_spent);
    ELSE
        INSERT INTO money.videos (video_id) VALUES (p_name) ON CONFLICT DO NOTHING;
        PERFORM FROM money.videos WHERE video_id = p_name FOR UPDATE;
        SELECT coalesce(sum(amount), 0) INTO v_reserved FROM money.reservations
         WHERE video_id = p_name AND state IN ('reserved', 'sent');
        SELECT coalesce(sum(amount), 0) INTO v_spent FROM public.pipeline_costs WHERE video_id = p_name;
        UPDATE money.videos SET reserved = greatest(reserved, v_reserved), spent = greatest(spent, v_spent)
         WHERE video_id = p_name AND (reserved < v_reserved OR spent < v_spent);
    END IF;
    RETURN FOUND;
END $$;
REVOKE EXECUTE ON FUNCTION money.rewrite_costs, money.set_aside_cost, money.raise_counter FROM PUBLIC;
GRANT EXECUTE ON FUNCTION money.rewrite_costs, money.set_aside_cost, money.raise_counter TO ytempire_app;

-- Close sessions of this application, in this database, that nobody has used for so long; also those that were left in
-- the middle of a transaction, whose locks go with them.
CREATE FUNCTION close_idle_sessions(p_idle_s double precision)
RETURNS TABLE (pid integer, application_name text, state text, idle_s double precision)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH idle AS MATERIALIZED (
        SELECT a.pid, a.application_name, a.state,
               extract(epoch FROM clock_timestamp() - a.state_change)::double precision AS idle_s
          FROM pg_stat_activity AS a
         WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
           AND a.application_name LIKE 'ytempire %' AND a.state LIKE 'idle%'
           AND a.state_change < clock_timestamp() - make_interval(secs => p_idle_s))
    SELECT i.pid, i.application_name, i.state, i.idle_s FROM idle AS i WHERE pg_terminate_backend(i.pid)
$$;
REVOKE EXECUTE ON FUNCTION close_idle_sessions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION close_idle_sessions TO ytempire_app;
