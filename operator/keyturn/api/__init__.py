"""The custom resources, one package an API version."""
