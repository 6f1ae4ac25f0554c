"""A real Kubernetes on a plain machine, for tests, the demo and benchmarks. Start at `plane.py`; see README.md."""
