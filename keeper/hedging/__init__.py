"""From a snapshot to a decision: the hedge problem, its solver, and `decide`. Pure and deterministic."""
