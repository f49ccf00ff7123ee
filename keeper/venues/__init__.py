"""What each venue can trade, at what cost: one module per venue contract, and the common form that hedging works with."""
