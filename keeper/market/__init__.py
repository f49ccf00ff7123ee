"""Chain to Snapshot: everything a decision depends on, read at one block hash."""
