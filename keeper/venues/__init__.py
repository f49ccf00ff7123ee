"""What each venue can trade and at what cost: one module per venue contract, one common form for hedging."""
