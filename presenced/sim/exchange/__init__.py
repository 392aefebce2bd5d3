"""A simulated Exchange organisation: its mailboxes and the EWS endpoint that serves them.

Written from Microsoft's documents and schema alone, so that a misread of ours on the client's side is
noticed here; it knows none of our doors.
"""
