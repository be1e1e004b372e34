"""PostgreSQL: a department's outbox, and a subscriber's table that equals its view (docs/postgresql.md)."""
