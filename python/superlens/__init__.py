"""superlens."""
