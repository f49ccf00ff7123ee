"""Local chains: a plan of what is where, and the builder that puts published contracts there and seeds them."""
