"""Decisions to transactions: the journal and the executor."""
