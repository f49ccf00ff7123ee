"""What an option is offered at: surface, model uncertainty, the premium of volatility, and what it does to the book."""
