"""The ApiKey reconciler: observe, decide, act, conclude."""
