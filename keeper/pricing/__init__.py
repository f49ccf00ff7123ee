"""Option pricing: pure functions, floats in, floats out."""
