"""One file per protocol: runs its published constructors at their mainnet addresses, wires and seeds it."""
