"""The only speaker to the Kubernetes API server: client, watch caches, Events, the leader's Lease. Decides nothing about keys."""
