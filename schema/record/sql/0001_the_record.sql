-- The record of the factory. Names and columns make the operators' runbook work verbatim.

CREATE TABLE video_queue (
    id                    text PRIMARY KEY,
    key                   text NOT NULL UNIQUE,
    status                text NOT NULL DEFAULT 'waiting'
                          CHECK (status IN ('waiting', 'queued', 'processing', 'completed', 'failed', 'cancelled')),
    priority              smallint NOT NULL DEFAULT 5 CHECK (priority BETWEEN 0 AND 9),
    topic                 text NOT NULL,
    brief                 jsonb NOT NULL,
    traceparent           text NOT NULL DEFAULT '',
    created_at            timestamptz NOT NULL DEFAULT now(),
    processing_started_at timestamptz,
    completed_at          timestamptz,
    ended_at              timestamptz,
    reason                text,
    CONSTRAINT completed_has_its_time CHECK (status <> 'completed' OR completed_at IS NOT NULL)
);

CREATE INDEX idx_queue_processing ON video_queue (status, priority DESC, created_at ASC)
    WHERE status IN ('queued', 'processing');
CREATE INDEX idx_queue_waiting ON video_queue (priority DESC, created_at ASC) WHERE status = 'waiting';
CREATE INDEX idx_queue_created ON video_queue (created_at);

-- One row per (video, stage). `attempt` is the fencing token: every commit names it.
CREATE TABLE video_stages (
    video_id     text NOT NULL REFERENCES video_queue ON DELETE CASCADE,
    stage        text NOT NULL,
    status       text NOT NULL DEFAULT 'open'
                 CHECK (status IN ('open', 'running', 'retrying', 'done', 'failed', 'dropped')),
    attempt      integer NOT NULL DEFAULT 0,
    failures     integer NOT NULL DEFAULT 0,
    crashes      integer NOT NULL DEFAULT 0,
    claim_id     uuid,
    worker       text,
    entry        text,
    lease_until  timestamptz,
    retry_at     timestamptz,
    progress     real NOT NULL DEFAULT 0,
    output       jsonb,
    error        text,
    opened_at    timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    ended_at     timestamptz,
    published_at timestamptz,
    PRIMARY KEY (video_id, stage),
    CONSTRAINT done_has_its_output CHECK (status <> 'done' OR (output IS NOT NULL AND ended_at IS NOT NULL))
);
CREATE INDEX idx_stages_open ON video_stages (stage) WHERE status IN ('open', 'running', 'retrying');

-- Every attempt there ever was: the story of a video.
CREATE TABLE stage_attempts (
    video_id   text NOT NULL,
    stage      text NOT NULL,
    attempt    integer NOT NULL,
    worker     text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    outcome    text NOT NULL DEFAULT 'running'
               CHECK (outcome IN ('running', 'done', 'retried', 'failed', 'released', 'crashed', 'dropped')),
    error      text,
    PRIMARY KEY (video_id, stage, attempt)
);
CREATE INDEX idx_attempts_ended ON stage_attempts (ended_at);

-- The runbook's table of stage times: seconds of finished attempts, under its own stage names.
CREATE VIEW pipeline_stage_times AS
SELECT video_id,
       CASE stage WHEN 'script' THEN 'script_generation'
                  WHEN 'media' THEN 'media_collection'
                  WHEN 'audio' THEN 'audio_synthesis'
                  WHEN 'render' THEN 'video_rendering'
                  WHEN 'quality' THEN 'quality_check'
                  ELSE stage END AS stage,
       attempt,
       extract(epoch FROM ended_at - started_at)::double precision AS duration,
       ended_at AS "timestamp"
  FROM stage_attempts
 WHERE outcome = 'done';

-- Settled and unknown money only.
CREATE TABLE pipeline_costs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    video_id    text NOT NULL,
    stage       text NOT NULL,
    attempt     integer NOT NULL,
    service     text NOT NULL,
    amount      numeric(12, 6) NOT NULL CONSTRAINT amount_is_plausible CHECK (amount >= 0 AND amount <= 10),
    "timestamp" timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_costs_recent ON pipeline_costs ("timestamp" DESC);
CREATE INDEX idx_costs_video ON pipeline_costs (video_id);

-- What was refused before it became work, and what was given up on; the streams of the same names only mirror these.
CREATE TABLE refused_events (
    from_stream text NOT NULL,
    from_id     text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('rejected', 'dead')),
    error       text NOT NULL,
    hint        text NOT NULL DEFAULT '',
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (from_stream, from_id, kind)
);

-- The gate is a set of holds. `entry` is the place in stream:control as [ms, seq]; null: not in the stream yet.
CREATE TABLE holds (
    kind      text NOT NULL CHECK (kind IN ('halt', 'pause')),
    cause     text NOT NULL DEFAULT '',
    by        text NOT NULL,
    reason    text NOT NULL DEFAULT '',
    command   text NOT NULL,
    entry     bigint[],
    placed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, cause, by)
);

-- Causes that an operator has resumed over: no guardian holds again for them until they change.
CREATE TABLE acknowledged_causes (
    cause           text NOT NULL,
    by              text NOT NULL,
    acknowledged_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cause, by)
);

-- Commands apply once, by their id: the token of whoever wrote the record first, else the entry's id.
CREATE TABLE control_log (
    command    text PRIMARY KEY,
    verb       text NOT NULL,
    by         text NOT NULL,
    reason     text NOT NULL DEFAULT '',
    entry_id   text,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Where plain readers of streams are; `generation` counts the times that a stream was found to have begun anew.
CREATE TABLE cursors (
    reader     text NOT NULL,
    stream     text NOT NULL,
    entry_id   text NOT NULL,
    generation integer NOT NULL DEFAULT 0,
    PRIMARY KEY (reader, stream)
);

-- Processes work as this role; the owner only migrates.
DO $$
BEGIN
    CREATE ROLE ytempire_app;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this server made it
END
$$;
GRANT USAGE ON SCHEMA public TO ytempire_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ytempire_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ytempire_app;
