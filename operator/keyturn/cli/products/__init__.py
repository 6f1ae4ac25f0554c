"""Commands about ApiProducts: who may have keys, and approval."""
