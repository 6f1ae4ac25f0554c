"""The v1alpha1 resources as pydantic models: what the user writes, what Keyturn answers."""
