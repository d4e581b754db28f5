-- expand: each migration's kind is kept beside it, so that code which is older than it knows whether it can live with it.

-- Of those before this one nobody asks: whoever knows this column has them all.
ALTER TABLE schema_migrations ADD COLUMN kind text NOT NULL DEFAULT 'contract' CHECK (kind IN ('expand', 'contract'));
