"""Commands that end keys for good, and what stops with them."""
