-- What operators and guardians change while the factory runs, and what is said of it. Needs nothing of other files
-- than the first.

-- Modes and throttles: a set, like the holds. `scope` is a video for a mode, a host for a throttle, '' for all.
CREATE TABLE standing_orders (
    kind      text NOT NULL CHECK (kind IN ('mode', 'throttle')),
    scope     text NOT NULL DEFAULT '',
    cause     text NOT NULL DEFAULT '',
    by        text NOT NULL,
    value     text NOT NULL,
    reason    text NOT NULL DEFAULT '',
    command   text NOT NULL,
    entry     bigint[],
    placed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, scope, cause, by)
);

-- Causes over which an operator has lifted a guardian's order: it gives none for them again until they change.
CREATE TABLE acknowledged_orders (
    kind            text NOT NULL,
    scope           text NOT NULL,
    cause           text NOT NULL,
    by              text NOT NULL,
    acknowledged_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, scope, cause, by)
);

-- What a command has to say to the streams and has not said yet; the control actor says it and removes the row.
CREATE TABLE announcements (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type        text NOT NULL,
    video       text NOT NULL DEFAULT '',
    by          text NOT NULL DEFAULT '',
    reason      text NOT NULL DEFAULT '',
    traceparent text NOT NULL DEFAULT '',
    at          timestamptz NOT NULL DEFAULT now()
);

-- Why a command of the stream was refused: met again after a crash, it is answered as it was the first time.
ALTER TABLE control_log ADD COLUMN error text, ADD COLUMN hint text;

-- Raised by a fresh retry, from a stage on: with another take the same input may be bought again.
ALTER TABLE video_stages ADD COLUMN take integer NOT NULL DEFAULT 0;

-- How often a video was admitted: each time its first fact is another one.
ALTER TABLE video_queue ADD COLUMN admissions integer NOT NULL DEFAULT 0;
UPDATE video_queue SET admissions = 1 WHERE id IN (SELECT video_id FROM video_stages);

GRANT SELECT, INSERT, UPDATE, DELETE ON standing_orders, acknowledged_orders, announcements TO ytempire_app;
