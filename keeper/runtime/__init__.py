"""The loop that follows the head, and what it does besides hedging."""
