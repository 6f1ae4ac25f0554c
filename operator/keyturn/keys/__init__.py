"""The credential: token format, minting, digests, the signed record, the adoption tag. No I/O."""
