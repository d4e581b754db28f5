-- What guardians stop, do and ask. Needs nothing of other files than the first.

-- Why a guardian lets no video be admitted. It says each of its rows again while it stands: one that was not said again
-- for a while stops nobody, its guardian is gone.
CREATE TABLE admission_stops (
    cause      text NOT NULL,
    by         text NOT NULL,
    host       text NOT NULL,
    reason     text NOT NULL,
    placed_at  timestamptz NOT NULL DEFAULT now(),
    renewed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cause, by, host)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON admission_stops TO ytempire_app;

-- An attempt that the stuck guardian ended for its worker.
ALTER TABLE stage_attempts DROP CONSTRAINT stage_attempts_outcome_check;
ALTER TABLE stage_attempts ADD CONSTRAINT stage_attempts_outcome_check CHECK (
    outcome IN ('running', 'done', 'retried', 'failed', 'released', 'crashed', 'dropped', 'timed_out'));

-- The last hour, and when the gate last opened, in one probe each.
CREATE INDEX idx_queue_ended ON video_queue (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX idx_control_resumes ON control_log (applied_at) WHERE verb = 'resume';
