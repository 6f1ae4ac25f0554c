"""The operator process: handlers, queue, probes and, one folder a kind, the reconcilers."""
