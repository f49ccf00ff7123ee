"""Fork control, the mainnet snapshot and the market driver: the chain that tests and the demo run on."""
