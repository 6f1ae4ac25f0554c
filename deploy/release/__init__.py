"""How a release is made: `make release` runs this package, `make check` its `versions`. Nothing of it is installed.

`__main__` → `source` (which commit, and whether it may be released) → `artefacts` (each file) → `archives` (the same bytes every time).
"""
