"""The demo's report: its numbers, its charts, its page."""
