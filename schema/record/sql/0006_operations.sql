-- What is done at its hour, and what is told to people. Needs nothing of other files than the first.

-- One row a run. `due_at` is the hour that the schedule names: whoever writes the row first does it, on any host.
CREATE TABLE chore_runs (
    chore      text NOT NULL,
    due_at     timestamptz NOT NULL,
    host       text NOT NULL,
    tries      integer NOT NULL DEFAULT 1,
    started_at timestamptz NOT NULL DEFAULT now(),
    renewed_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    outcome    text NOT NULL DEFAULT 'running' CHECK (outcome IN ('running', 'done', 'failed', 'skipped')),
    said       text NOT NULL DEFAULT '',
    PRIMARY KEY (chore, due_at)
);
CREATE INDEX idx_chores_running ON chore_runs (renewed_at) WHERE outcome = 'running';

-- Alerts and reports on their way. `source` is the entry or the run that it came from, so that nothing is told twice for
-- being read twice; `delivered` holds the digests of the addresses that have taken it.
CREATE TABLE messages (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source    text NOT NULL UNIQUE,
    cause     text NOT NULL,
    level     text NOT NULL,
    title     text NOT NULL,
    body      text NOT NULL,
    at        timestamptz NOT NULL,
    state     text NOT NULL CHECK (state IN ('due', 'sent', 'repeated', 'held back', 'given up')),
    delivered text[] NOT NULL DEFAULT '{}',
    tries     integer NOT NULL DEFAULT 0,
    next_at   timestamptz NOT NULL DEFAULT now(),
    sent_at   timestamptz,
    error     text NOT NULL DEFAULT ''
);
CREATE INDEX idx_messages_due ON messages (next_at) WHERE state = 'due';
CREATE INDEX idx_messages_cause ON messages (cause, at DESC);
CREATE INDEX idx_messages_at ON messages (at);

GRANT SELECT, INSERT, UPDATE, DELETE ON chore_runs, messages TO ytempire_app;
