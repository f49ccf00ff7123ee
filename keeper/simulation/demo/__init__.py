"""Keel's story once, in small: who takes part, what the market does, what happened, and the report of it."""
