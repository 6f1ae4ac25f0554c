"""The door for gateways that ask over HTTP."""
