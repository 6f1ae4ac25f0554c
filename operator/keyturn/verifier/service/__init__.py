"""`keyturn verifier`: the server that gateways ask. `run.py` is its life, `feed.py` brings the keys, the fronts bring the requests.

Unlike the rest of `keyturn.verifier` it speaks to the API server, and needs the packages of the extra `verifier`.
"""
