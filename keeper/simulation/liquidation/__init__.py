"""The proof that a vault in distress is brought back without its keeper, and its picture."""
