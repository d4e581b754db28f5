-- Money: no cent is spent that was not set aside first, and what was set aside is never forgotten.
--
--     reserved -> sent -> settled | released | unknown        (unknown -> settled, once it is known)
--     reserved -> released
--
-- Only the functions below write here, each in one call: a client that stops in the middle holds no lock. They lock in
-- this order, and rows of the ledger's own alone: the gate (shared), days (ascending), quotas (by name), the video,
-- its reservations, a purchase. Totals are counters, so that a call costs the same at one row as at a million. The
-- functions read each statement's newest snapshot: they refuse any isolation but READ COMMITTED.
CREATE SCHEMA money;

-- A lock with a name: it never has a row. Calls share it; a halt takes it alone when it commits, and waits in turn, so
-- that neither can starve the other. After that commit every call sees the hold.
CREATE TABLE money.gate (nothing boolean);

-- Money belongs to the UTC day on which it was reserved. reserved: set aside or sent; spent: settled or unknown.
CREATE TABLE money.days (
    day      date PRIMARY KEY,
    reserved numeric(16, 6) NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    spent    numeric(16, 6) NOT NULL DEFAULT 0 CHECK (spent >= 0)
) WITH (fillfactor = 50);

CREATE TABLE money.videos (
    video_id text PRIMARY KEY,
    reserved numeric(16, 6) NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    spent    numeric(16, 6) NOT NULL DEFAULT 0 CHECK (spent >= 0)
) WITH (fillfactor = 70);

-- One row a name, to lock; its uses are counted by slices, sixty to a window.
CREATE TABLE money.quotas (name text PRIMARY KEY);
CREATE TABLE money.quota_uses (
    name  text NOT NULL,
    slice timestamptz NOT NULL,
    used  integer NOT NULL,
    PRIMARY KEY (name, slice)
);

-- The caller names a reservation before it asks for it, so that asking twice is asking once.
CREATE TABLE money.reservations (
    id              uuid PRIMARY KEY,
    video_id        text NOT NULL,
    stage           text NOT NULL,
    attempt         integer NOT NULL,
    service         text NOT NULL,
    model           text NOT NULL,
    price           text NOT NULL,          -- the entry of the price table that the amount was made with
    units           jsonb NOT NULL,         -- the bound that the request carries
    amount          numeric(12, 6) NOT NULL CHECK (amount >= 0),
    billed          numeric(12, 6) CHECK (billed >= 0),
    used            jsonb,
    request_id      text NOT NULL DEFAULT '',
    day             date NOT NULL,
    policy          text NOT NULL CHECK (policy IN ('keyed', 'queryable', 'free', 'blind')),
    input_hash      text,
    take            integer NOT NULL DEFAULT 0,
    second_purchase boolean NOT NULL DEFAULT false,
    state           text NOT NULL DEFAULT 'reserved'
                    CHECK (state IN ('reserved', 'sent', 'settled', 'released', 'unknown')),
    sends           integer NOT NULL DEFAULT 0,
    why             text NOT NULL DEFAULT '',
    reserved_at     timestamptz NOT NULL,
    sent_at         timestamptz,
    ended_at        timestamptz,
    CONSTRAINT settled_has_its_bill CHECK ((state = 'settled') = (billed IS NOT NULL))
);
CREATE INDEX reservations_of_a_video ON money.reservations (video_id, stage);
CREATE INDEX reservations_of_a_day ON money.reservations (day);
CREATE INDEX reservations_of_an_input ON money.reservations (input_hash, take)
    WHERE state IN ('sent', 'settled', 'unknown');
CREATE INDEX reservations_in_hand ON money.reservations (video_id, stage) WHERE state IN ('reserved', 'sent');
CREATE INDEX reservations_unknown ON money.reservations (reserved_at) WHERE state = 'unknown';

-- What was bought, by its input and take, so that it is not bought again by accident. `holder` is the reservation that
-- the buyer will ask for; a claim of an attempt that no longer runs holds nobody up.
CREATE TABLE money.purchases (
    input_hash text NOT NULL,
    take       integer NOT NULL,
    state      text NOT NULL CHECK (state IN ('claimed', 'free', 'bought', 'struck')),
    holder     uuid NOT NULL,
    video_id   text NOT NULL,
    stage      text NOT NULL,
    attempt    integer NOT NULL,
    result     text,                        -- JSON as text: it may say \u0000, which jsonb cannot
    artifacts  jsonb,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (input_hash, take),
    CONSTRAINT bought_has_its_result CHECK (state <> 'bought' OR (result IS NOT NULL AND artifacts IS NOT NULL))
);
CREATE INDEX purchases_claimed ON money.purchases (video_id, stage) WHERE state = 'claimed';

-- Which results went into which video, its own and those that others had bought.
CREATE TABLE money.uses (
    video_id   text NOT NULL,
    stage      text NOT NULL,
    input_hash text NOT NULL,
    take       integer NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (video_id, stage, input_hash, take)
);

-- Bills above their reservations. The price that was wrong is refused; `held_at` is null until a hold was placed.
CREATE TABLE money.overruns (
    reservation_id uuid PRIMARY KEY,
    at             timestamptz NOT NULL DEFAULT now(),
    held_at        timestamptz
);
CREATE INDEX overruns_not_held ON money.overruns (at) WHERE held_at IS NULL;
CREATE TABLE money.refused_prices (
    service        text NOT NULL,
    model          text NOT NULL,
    price          text NOT NULL,
    reservation_id uuid NOT NULL,
    refused_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, model, price)
);

-- The runbook's table of costs learns which reservation a row is of, and whether its money is settled.
ALTER TABLE pipeline_costs ADD COLUMN reservation_id uuid;
ALTER TABLE pipeline_costs ADD COLUMN outcome text NOT NULL DEFAULT 'settled'
    CONSTRAINT outcome_is_known CHECK (outcome IN ('settled', 'unknown'));
CREATE INDEX idx_costs_reservation ON pipeline_costs (reservation_id) WHERE reservation_id IS NOT NULL;

-- Counters begin with what the record already holds.
INSERT INTO money.days (day, spent)
SELECT ("timestamp" AT TIME ZONE 'UTC')::date, sum(amount) FROM pipeline_costs GROUP BY 1;
INSERT INTO money.videos (video_id, spent) SELECT video_id, sum(amount) FROM pipeline_costs GROUP BY 1;

-- The ledger's clock: the database's, since no two processes share another one.
CREATE FUNCTION money.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()';

-- Share the gate until this call ends, and say whether it is shut.
CREATE FUNCTION money.halted() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'money moves in READ COMMITTED transactions only, not in %',
            upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'invalid_transaction_state', HINT = 'unset default_transaction_isolation';
    END IF;
    LOCK TABLE money.gate IN ROW SHARE MODE;
    -- a statement of its own: its snapshot is taken once the gate is ours
    RETURN EXISTS (SELECT FROM public.holds WHERE kind = 'halt');
END $$;

-- A halt waits at its commit, and not before, until the calls that share the gate have ended: whoever places a hold
-- and then stops keeps nobody from the gate.
CREATE FUNCTION money.shut_gate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOCK TABLE money.gate IN EXCLUSIVE MODE;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER halts_shut_the_gate AFTER INSERT OR UPDATE ON holds
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.kind = 'halt') EXECUTE FUNCTION money.shut_gate();

-- Lock counters in the one order there is, making those that are missing.
CREATE FUNCTION money.lock_counters(p_days date[], p_quotas text[], p_video text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_locked integer;
BEGIN
    PERFORM FROM money.days WHERE day = ANY (p_days) ORDER BY day FOR UPDATE;
    GET DIAGNOSTICS v_locked = ROW_COUNT;
    IF v_locked < cardinality(p_days) THEN
        INSERT INTO money.days (day) SELECT each FROM unnest(p_days) AS each ORDER BY each ON CONFLICT DO NOTHING;
        PERFORM FROM money.days WHERE day = ANY (p_days) ORDER BY day FOR UPDATE;
    END IF;
    IF cardinality(p_quotas) > 0 THEN
        INSERT INTO money.quotas (name) SELECT each FROM unnest(p_quotas) AS each ORDER BY each ON CONFLICT DO NOTHING;
        PERFORM FROM money.quotas WHERE name = ANY (p_quotas) ORDER BY name FOR UPDATE;
    END IF;
    PERFORM FROM money.videos WHERE video_id = p_video FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO money.videos (video_id) VALUES (p_video) ON CONFLICT DO NOTHING;
        PERFORM FROM money.videos WHERE video_id = p_video FOR UPDATE;
    END IF;
END $$;

-- Whether this attempt may still spend. Reads without locking: a row that somebody holds there stops no money.
CREATE FUNCTION money.is_current(p_video text, p_stage text, p_attempt integer) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM public.video_stages
                    WHERE video_id = p_video AND stage = p_stage AND attempt = p_attempt
                      AND status NOT IN ('done', 'failed', 'dropped'))
$$;

-- One step of a reservation: its state, both counters and the costs in one. The caller has locked all of them.
CREATE FUNCTION money.move(p_id uuid, p_to text, p_billed numeric, p_why text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    r          money.reservations%ROWTYPE;
    v_reserved numeric;
    v_spent    numeric;
    v_cost     numeric;
BEGIN
    SELECT * INTO STRICT r FROM money.reservations WHERE id = p_id;
    v_cost := CASE p_to WHEN 'settled' THEN p_billed WHEN 'unknown' THEN r.amount END;
    v_reserved := -CASE WHEN r.state IN ('reserved', 'sent') THEN r.amount ELSE 0 END;
    v_spent := coalesce(v_cost, 0) - CASE WHEN r.state = 'unknown' THEN r.amount ELSE 0 END;
    UPDATE money.days SET reserved = reserved + v_reserved, spent = spent + v_spent WHERE day = r.day;
    UPDATE money.videos SET reserved = reserved + v_reserved, spent = spent + v_spent WHERE video_id = r.video_id;
    UPDATE money.reservations
       SET state = p_to, billed = p_billed, ended_at = money.clock(), why = coalesce(p_why, why) WHERE id = p_id;
    IF r.state = 'unknown' THEN
        DELETE FROM public.pipeline_costs WHERE reservation_id = p_id;
    END IF;
    IF v_cost IS NOT NULL THEN
        -- a row holds ten dollars at most, and dates from when its money was reserved
        INSERT INTO public.pipeline_costs (video_id, stage, attempt, service, amount, "timestamp", reservation_id, outcome)
        SELECT r.video_id, r.stage, r.attempt, r.service, least(10, v_cost - 10 * part), r.reserved_at, p_id, p_to
          FROM generate_series(0, greatest(ceil(v_cost / 10)::integer - 1, 0)) AS part;
    END IF;
END $$;

-- The days of what older attempts of a stage left in hand.
CREATE FUNCTION money.days_left_open(p_video text, p_stage text, p_before integer) RETURNS date[]
LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(DISTINCT day), '{}') FROM money.reservations
     WHERE video_id = p_video AND stage = p_stage AND attempt < p_before AND state IN ('reserved', 'sent')
$$;

-- What older attempts of a stage left: reserved was never sent and is released, sent may have been billed: unknown.
CREATE FUNCTION money.turn_older(p_video text, p_stage text, p_before integer, p_days date[]) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    r       record;
    v_count integer := 0;
BEGIN
    FOR r IN SELECT id, day, state FROM money.reservations
              WHERE video_id = p_video AND stage = p_stage AND attempt < p_before AND state IN ('reserved', 'sent')
              ORDER BY id FOR UPDATE LOOP
        IF r.day <> ALL (p_days) THEN  -- it came after the days were locked, around midnight
            RAISE EXCEPTION 'reservation % is of a day that is not locked', r.id USING ERRCODE = 'serialization_failure';
        END IF;
        PERFORM money.move(r.id, CASE r.state WHEN 'reserved' THEN 'released' ELSE 'unknown' END, NULL,
                           'its attempt was superseded');
        v_count := v_count + 1;
    END LOOP;
    RETURN v_count;
END $$;

-- Count one use of each quota, or name the first that has no room. A window slides; what lies in its oldest slice
-- counts as a whole. A use is not given back: a provider may have counted it.
CREATE FUNCTION money.use_quotas(p_quotas jsonb, p_now timestamptz) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    q       record;
    v_used  bigint;
    v_slice timestamptz;
BEGIN
    FOR q IN SELECT name, most, make_interval(secs => window_s) AS span, make_interval(secs => window_s / 60) AS width
               FROM jsonb_to_recordset(p_quotas) AS x(name text, most integer, window_s double precision) LOOP
        SELECT coalesce(sum(used), 0) INTO v_used FROM money.quota_uses
         WHERE name = q.name AND slice > p_now - q.span - q.width;
        IF v_used >= q.most THEN
            RETURN q.name;
        END IF;
    END LOOP;
    FOR q IN SELECT name, make_interval(secs => window_s) AS span, window_s / 60 AS width_s
               FROM jsonb_to_recordset(p_quotas) AS x(name text, window_s double precision) LOOP
        v_slice := to_timestamp(floor(extract(epoch FROM p_now)::double precision / q.width_s) * q.width_s);
        INSERT INTO money.quota_uses (name, slice, used) VALUES (q.name, v_slice, 1)
            ON CONFLICT (name, slice) DO UPDATE SET used = quota_uses.used + 1;
        DELETE FROM money.quota_uses WHERE name = q.name AND slice < p_now - 2 * q.span;
    END LOOP;
    RETURN NULL;
END $$;

-- What was bought for this input and take, or the claim to buy it. Answers: bought, claimed, held (by another purchase
-- that is under way), superseded. `previous`: an earlier call for the same input that was, or may have been, billed.
CREATE FUNCTION money.claim(
    p_holder uuid, p_video text, p_stage text, p_attempt integer, p_hash text, p_take integer,
    OUT answer text, OUT result text, OUT artifacts jsonb, OUT held_by text,
    OUT previous uuid, OUT previous_state text, OUT previous_is_ours boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p      money.purchases%ROWTYPE;
    v_days date[];
BEGIN
    SELECT * INTO p FROM money.purchases WHERE input_hash = p_hash AND take = p_take AND state = 'bought';
    IF NOT FOUND THEN
        v_days := money.days_left_open(p_video, p_stage, p_attempt);
        PERFORM money.lock_counters(v_days, '{}', p_video);
        IF NOT money.is_current(p_video, p_stage, p_attempt) THEN
            answer := 'superseded';
            RETURN;
        END IF;
        PERFORM money.turn_older(p_video, p_stage, p_attempt, v_days);
        INSERT INTO money.purchases (input_hash, take, state, holder, video_id, stage, attempt)
        VALUES (p_hash, p_take, 'claimed', p_holder, p_video, p_stage, p_attempt) ON CONFLICT DO NOTHING;
        SELECT * INTO STRICT p FROM money.purchases WHERE input_hash = p_hash AND take = p_take FOR UPDATE;
    END IF;
    IF p.state = 'bought' THEN
        INSERT INTO money.uses (video_id, stage, input_hash, take) VALUES (p_video, p_stage, p_hash, p_take)
            ON CONFLICT DO NOTHING;
        answer := 'bought';
        result := p.result;
        artifacts := p.artifacts;
        RETURN;
    END IF;
    IF p.state = 'claimed' AND p.holder <> p_holder AND EXISTS (
            SELECT FROM public.video_stages AS s
             WHERE s.video_id = p.video_id AND s.stage = p.stage AND s.attempt = p.attempt AND s.status = 'running') THEN
        answer := 'held';
        held_by := p.video_id;
        RETURN;
    END IF;
    UPDATE money.purchases
       SET state = 'claimed', holder = p_holder, video_id = p_video, stage = p_stage, attempt = p_attempt,
           result = NULL, artifacts = NULL, changed_at = money.clock()
     WHERE input_hash = p_hash AND take = p_take;
    SELECT r.id, r.state, (r.video_id, r.stage) = (p_video, p_stage) INTO previous, previous_state, previous_is_ours
      FROM money.reservations AS r
     WHERE r.input_hash = p_hash AND r.take = p_take AND r.state IN ('sent', 'settled', 'unknown')
     ORDER BY r.state = 'unknown' DESC, r.reserved_at DESC LIMIT 1;
    answer := 'claimed';
END $$;

-- Give a claim back that came to nothing.
CREATE FUNCTION money.let_go(p_holder uuid, p_hash text, p_take integer) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE money.purchases SET state = 'free', changed_at = money.clock()
     WHERE input_hash = p_hash AND take = p_take AND holder = p_holder AND state = 'claimed'
$$;

-- A result that is not good enough: it is never found again, and what is bought in its place is shown as a second one.
CREATE FUNCTION money.strike_off(p_hash text, p_take integer) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH struck AS (
        UPDATE money.purchases SET state = 'struck', changed_at = money.clock()
         WHERE input_hash = p_hash AND take = p_take AND state = 'bought' RETURNING true)
    SELECT EXISTS (SELECT FROM struck)
$$;

-- Set money aside for one call. Answers: reserved, or why not: superseded, halted, price_refused, over_video, over_day,
-- over_quota. `left_usd` is what the budget that said no has left, `quota` the quota that did.
CREATE FUNCTION money.reserve(
    p_id uuid, p_video text, p_stage text, p_attempt integer, p_service text, p_model text, p_price text,
    p_units jsonb, p_amount numeric, p_policy text, p_hash text, p_take integer,
    p_video_limit numeric, p_day_limit numeric, p_quotas jsonb,
    OUT answer text, OUT second boolean, OUT left_usd numeric, OUT quota text, OUT reserved_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r        money.reservations%ROWTYPE;
    v_halted boolean := money.halted();
    v_now    timestamptz := money.clock();
    v_day    date := (v_now AT TIME ZONE 'UTC')::date;
    v_days   date[] := money.days_left_open(p_video, p_stage, p_attempt);
BEGIN
    IF v_day <> ALL (v_days) THEN
        v_days := v_days || v_day;
    END IF;
    PERFORM money.lock_counters(v_days, array(SELECT q ->> 'name' FROM jsonb_array_elements(p_quotas) AS q), p_video);
    SELECT * INTO r FROM money.reservations WHERE id = p_id;
    IF FOUND THEN
        IF (r.video_id, r.stage, r.service, r.model, r.amount) IS DISTINCT FROM
           (p_video, p_stage, p_service, p_model, round(p_amount, 6)) THEN
            RAISE EXCEPTION 'reservation % was made for another call', p_id USING ERRCODE = 'unique_violation';
        END IF;
        answer := 'reserved';
        second := r.second_purchase;
        reserved_at := r.reserved_at;
        RETURN;
    END IF;
    IF NOT money.is_current(p_video, p_stage, p_attempt) THEN
        answer := 'superseded';
        RETURN;
    END IF;
    PERFORM money.turn_older(p_video, p_stage, p_attempt, v_days);
    UPDATE money.purchases SET state = 'free', changed_at = v_now
     WHERE video_id = p_video AND stage = p_stage AND attempt < p_attempt AND state = 'claimed';
    IF v_halted THEN
        answer := 'halted';
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM money.refused_prices AS f
                WHERE f.service = p_service AND f.model = p_model AND f.price = p_price) THEN
        answer := 'price_refused';
        RETURN;
    END IF;
    -- another has taken the claim over, which it can only where this attempt is not at work any more
    IF p_hash IS NOT NULL AND NOT EXISTS (SELECT FROM money.purchases AS p
            WHERE p.input_hash = p_hash AND p.take = p_take AND p.holder = p_id AND p.state = 'claimed') THEN
        answer := 'superseded';
        RETURN;
    END IF;
    SELECT p_video_limit - reserved - spent INTO left_usd FROM money.videos WHERE video_id = p_video;
    IF p_amount > left_usd THEN
        answer := 'over_video';
        RETURN;
    END IF;
    SELECT p_day_limit - reserved - spent INTO left_usd FROM money.days WHERE day = v_day;
    IF p_amount > left_usd THEN
        answer := 'over_day';
        RETURN;
    END IF;
    left_usd := NULL;
    quota := money.use_quotas(p_quotas, v_now);
    IF quota IS NOT NULL THEN
        answer := 'over_quota';
        RETURN;
    END IF;
    second := p_policy <> 'free' AND p_hash IS NOT NULL AND EXISTS (
        SELECT FROM money.reservations AS b
         WHERE b.input_hash = p_hash AND b.take = p_take AND b.state IN ('sent', 'settled', 'unknown'));
    INSERT INTO money.reservations (id, video_id, stage, attempt, service, model, price, units, amount, day, policy,
                                    input_hash, take, second_purchase, reserved_at)
    VALUES (p_id, p_video, p_stage, p_attempt, p_service, p_model, p_price, p_units, p_amount, v_day, p_policy,
            p_hash, p_take, second, v_now);
    UPDATE money.days SET reserved = reserved + round(p_amount, 6) WHERE day = v_day;
    UPDATE money.videos SET reserved = reserved + round(p_amount, 6) WHERE video_id = p_video;
    answer := 'reserved';
    reserved_at := v_now;
END $$;

-- The call is about to be made: from here its money may be gone. Answers: sent, halted, superseded. One of unknown
-- outcome whose provider knows it by its key may be sent again under the same id; its money stays counted as unknown.
CREATE FUNCTION money.mark_sent(p_id uuid, p_attempt integer, OUT answer text, OUT reservation money.reservations)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_halted boolean := money.halted();
BEGIN
    SELECT * INTO reservation FROM money.reservations WHERE id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no reservation %', p_id USING ERRCODE = 'no_data_found';
    END IF;
    IF reservation.state = 'sent' AND reservation.attempt = p_attempt THEN
        answer := 'sent';
    ELSIF NOT (reservation.state = 'reserved' AND reservation.attempt = p_attempt
               OR reservation.state = 'unknown' AND reservation.attempt <= p_attempt
                  AND reservation.policy IN ('keyed', 'queryable'))
          OR NOT money.is_current(reservation.video_id, reservation.stage, p_attempt) THEN
        answer := 'superseded';
    ELSIF v_halted THEN
        answer := 'halted';
    ELSE
        UPDATE money.reservations
           SET state = CASE state WHEN 'reserved' THEN 'sent' ELSE state END,
               attempt = p_attempt, sends = sends + 1, sent_at = money.clock()
         WHERE id = p_id RETURNING * INTO reservation;
        answer := 'sent';
    END IF;
END $$;

-- Lock what an end of this reservation touches, and give its row as it is then.
CREATE FUNCTION money.to_end(p_id uuid) RETURNS money.reservations
LANGUAGE plpgsql AS $$
DECLARE
    r money.reservations%ROWTYPE;
BEGIN
    SELECT * INTO r FROM money.reservations WHERE id = p_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no reservation %', p_id USING ERRCODE = 'no_data_found';
    END IF;
    PERFORM money.lock_counters(ARRAY[r.day], '{}', r.video_id);
    SELECT * INTO r FROM money.reservations WHERE id = p_id FOR UPDATE;
    RETURN r;
END $$;

-- The bill is known; what it bought is stored in the same step. Answers the state that it has then: settled, or what
-- made that impossible. A bill above its reservation is recorded as it is, and the price that was wrong is refused.
CREATE FUNCTION money.settle(
    p_id uuid, p_billed numeric, p_used jsonb, p_request_id text, p_result text, p_artifacts jsonb,
    OUT answer text, OUT overrun boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r money.reservations%ROWTYPE := money.to_end(p_id);
BEGIN
    answer := r.state;
    IF r.state IN ('sent', 'unknown') THEN
        PERFORM money.move(p_id, 'settled', round(p_billed, 6), NULL);
        UPDATE money.reservations SET used = p_used, request_id = p_request_id WHERE id = p_id;
        IF round(p_billed, 6) > r.amount THEN
            INSERT INTO money.overruns (reservation_id) VALUES (p_id);
            INSERT INTO money.refused_prices (service, model, price, reservation_id)
            VALUES (r.service, r.model, r.price, p_id) ON CONFLICT DO NOTHING;
        END IF;
        IF r.input_hash IS NOT NULL AND p_result IS NOT NULL THEN
            INSERT INTO money.purchases AS p
                   (input_hash, take, state, holder, video_id, stage, attempt, result, artifacts)
            VALUES (r.input_hash, r.take, 'bought', p_id, r.video_id, r.stage, r.attempt, p_result, p_artifacts)
                ON CONFLICT (input_hash, take) DO UPDATE
               SET state = 'bought', holder = p_id, result = p_result, artifacts = p_artifacts,
                   changed_at = money.clock()
             WHERE p.state IN ('claimed', 'free');
            INSERT INTO money.uses (video_id, stage, input_hash, take)
            VALUES (r.video_id, r.stage, r.input_hash, r.take) ON CONFLICT DO NOTHING;
        ELSIF r.input_hash IS NOT NULL THEN
            PERFORM money.let_go(p_id, r.input_hash, r.take);
        END IF;
        answer := 'settled';
    END IF;
    overrun := EXISTS (SELECT FROM money.overruns WHERE reservation_id = p_id);
END $$;

-- Nothing was billed, for certain. One that was unknown stays so: a second try tells nothing about the first. One that
-- was never made is as good as released: its maker may not have heard.
CREATE FUNCTION money.release(p_id uuid, p_why text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r money.reservations%ROWTYPE;
BEGIN
    IF NOT EXISTS (SELECT FROM money.reservations WHERE id = p_id) THEN
        RETURN 'released';
    END IF;
    r := money.to_end(p_id);
    IF r.input_hash IS NOT NULL THEN
        PERFORM money.let_go(p_id, r.input_hash, r.take);
    END IF;
    IF r.state NOT IN ('reserved', 'sent') THEN
        RETURN r.state;
    END IF;
    PERFORM money.move(p_id, 'released', NULL, p_why);
    RETURN 'released';
END $$;

-- It was sent, and nobody knows what became of it: its whole amount counts as spent.
CREATE FUNCTION money.mark_unknown(p_id uuid, p_why text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r money.reservations%ROWTYPE := money.to_end(p_id);
BEGIN
    IF r.input_hash IS NOT NULL THEN
        PERFORM money.let_go(p_id, r.input_hash, r.take);
    END IF;
    IF r.state <> 'sent' THEN
        RETURN r.state;
    END IF;
    PERFORM money.move(p_id, 'unknown', NULL, p_why);
    RETURN 'unknown';
END $$;

-- In hand, of attempts that are over: the next attempt turns them, and this says which have none to wait for.
CREATE VIEW money.abandoned AS
SELECT r.id, r.video_id, r.stage, r.attempt
  FROM money.reservations AS r LEFT JOIN public.video_stages AS s USING (video_id, stage)
 WHERE r.state IN ('reserved', 'sent')
   AND (s.attempt IS NULL OR s.attempt > r.attempt OR s.status IN ('done', 'failed', 'dropped'));

-- End one of them as its next attempt would. False when it has ended, or is not abandoned.
CREATE FUNCTION money.turn_abandoned(p_id uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r money.reservations%ROWTYPE := money.to_end(p_id);
BEGIN
    IF NOT EXISTS (SELECT FROM money.abandoned WHERE id = p_id) THEN
        RETURN false;
    END IF;
    IF r.input_hash IS NOT NULL THEN
        PERFORM money.let_go(p_id, r.input_hash, r.take);
    END IF;
    PERFORM money.move(p_id, CASE r.state WHEN 'reserved' THEN 'released' ELSE 'unknown' END, NULL,
                       'its attempt has ended');
    RETURN true;
END $$;

-- What a journal knows of a reservation that this record, an older copy, may not: it was sent on the day `p_reserved_at`
-- says. Its money is counted whatever the limits are, since it is spent. True when something was learnt.
CREATE FUNCTION money.learn_sent(
    p_id uuid, p_video text, p_stage text, p_attempt integer, p_service text, p_model text, p_price text,
    p_units jsonb, p_amount numeric, p_policy text, p_hash text, p_take integer, p_second boolean,
    p_reserved_at timestamptz)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_day   date := (p_reserved_at AT TIME ZONE 'UTC')::date;
    v_state text;
BEGIN
    PERFORM money.lock_counters(ARRAY[v_day], '{}', p_video);
    SELECT state INTO v_state FROM money.reservations WHERE id = p_id FOR UPDATE;
    IF v_state IS NULL THEN
        INSERT INTO money.reservations (id, video_id, stage, attempt, service, model, price, units, amount, day,
                                        policy, input_hash, take, second_purchase, reserved_at)
        VALUES (p_id, p_video, p_stage, p_attempt, p_service, p_model, p_price, p_units, p_amount, v_day,
                p_policy, p_hash, p_take, p_second, p_reserved_at);
        UPDATE money.days SET reserved = reserved + p_amount WHERE day = v_day;
        UPDATE money.videos SET reserved = reserved + p_amount WHERE video_id = p_video;
    ELSIF v_state <> 'reserved' THEN
        RETURN false;
    END IF;
    UPDATE money.reservations SET sends = sends + 1, sent_at = coalesce(sent_at, p_reserved_at) WHERE id = p_id;
    PERFORM money.move(p_id, 'unknown', NULL, 'the journal says that it was sent');
    RETURN true;
END $$;

-- Counters that do not equal their rows; empty when all is well.
CREATE VIEW money.contradictions AS
WITH rows AS (
    SELECT 'day' AS counter, day::text AS name, amount AS reserved, 0 AS spent
      FROM money.reservations WHERE state IN ('reserved', 'sent')
    UNION ALL
    SELECT 'video', video_id, amount, 0 FROM money.reservations WHERE state IN ('reserved', 'sent')
    UNION ALL
    SELECT 'day', ("timestamp" AT TIME ZONE 'UTC')::date::text, 0, amount FROM public.pipeline_costs
    UNION ALL
    SELECT 'video', video_id, 0, amount FROM public.pipeline_costs
    UNION ALL
    SELECT 'costs of a reservation', reservation_id::text, 0, amount FROM public.pipeline_costs
     WHERE reservation_id IS NOT NULL
), counted AS (
    SELECT 'day' AS counter, day::text AS name, reserved, spent FROM money.days
    UNION ALL
    SELECT 'video', video_id, reserved, spent FROM money.videos
    UNION ALL
    SELECT 'costs of a reservation', id::text, 0, coalesce(billed, amount) FROM money.reservations
     WHERE state IN ('settled', 'unknown')
), summed AS (
    SELECT counter, name, sum(reserved) AS reserved, sum(spent) AS spent FROM rows GROUP BY 1, 2
)
SELECT counter, name, coalesce(c.reserved, 0) AS counted_reserved, coalesce(s.reserved, 0) AS rows_reserved,
       coalesce(c.spent, 0) AS counted_spent, coalesce(s.spent, 0) AS rows_spent
  FROM counted AS c FULL JOIN summed AS s USING (counter, name)
 WHERE coalesce(c.reserved, 0) <> coalesce(s.reserved, 0) OR coalesce(c.spent, 0) <> coalesce(s.spent, 0);

-- Processes read everything and write nothing but through the calls.
REVOKE INSERT, UPDATE, DELETE ON pipeline_costs FROM ytempire_app;
GRANT USAGE ON SCHEMA money TO ytempire_app;
GRANT SELECT ON ALL TABLES IN SCHEMA money TO ytempire_app;
GRANT UPDATE (held_at) ON money.overruns TO ytempire_app;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA money FROM PUBLIC;
GRANT EXECUTE ON FUNCTION money.claim, money.let_go, money.strike_off, money.reserve, money.mark_sent, money.settle,
                          money.release, money.mark_unknown, money.turn_abandoned, money.learn_sent TO ytempire_app;
