"""Keyturn: API keys as Kubernetes resources, minted, hashed, delivered, rotated and rolled out."""
