"""The bus: dramatiq over Redis Streams. A transport that knows Redis, and three faces on it."""
