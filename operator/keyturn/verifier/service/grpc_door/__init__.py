"""The door for Envoy, over gRPC: HTTP/2, gRPC, Envoy's questions."""
