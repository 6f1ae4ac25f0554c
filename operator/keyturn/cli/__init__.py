"""The `keyturn` command, also as `kubectl keyturn`: one module a command."""
