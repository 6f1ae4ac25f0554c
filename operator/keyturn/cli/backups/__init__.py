"""The ledger in a file, and a restored cluster brought up to date."""
