"""`check --connect`: the whole chain from this machine to a presence, step by step.

The steps go through the very doors the daemon opens, so that what is checked is what will run; only names,
ports and certificates are looked at by themselves, because a door can't say which of them is to blame.
"""
