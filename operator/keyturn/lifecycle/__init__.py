"""The life of a key version, decided by pure functions: frozen values in, frozen values out; no clock, no random, no I/O."""
