"""Answers "may this request pass?": `check.py` decides, everything else brings it the request and the keys.

Needs none of the operator's packages; an application may use it alone.
"""
