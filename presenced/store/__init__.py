"""What survives a restart: users, mailboxes, appointments, presences written, small values.

The port is `core.ports.Store`. `sqlite` keeps it in one file, `memory` keeps it nowhere: the same tests
run against both, so that whoever tests with the second may trust the first.
"""
