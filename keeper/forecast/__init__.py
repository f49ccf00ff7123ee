"""What the market may do next: volatility, dependence and tails, from recorded prices."""
