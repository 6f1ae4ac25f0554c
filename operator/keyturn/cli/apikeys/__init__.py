"""Commands about ApiKeys and their keys."""
