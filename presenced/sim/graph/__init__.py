"""A simulated Microsoft Graph over the same organisation as the simulated Exchange: users and calendars.

It is written from Microsoft's reference pages and refuses what the real one refuses, so that a client which
works here was not merely lucky. The doors know nothing of it.
"""
