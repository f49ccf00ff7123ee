"""What pricing refuses."""

from __future__ import annotations


class PricingError(ValueError):
    """An input outside the domain of the formula: negative, zero or not finite where that has no meaning."""
