"""Microsoft Graph: calendars of Exchange Online, the way that stays.

wire reads JSON, questions writes paths and bodies, batch puts questions together, recovery says what a no
means, cursor where delta goes on, renewal when a subscription is renewed: all of them values only. calls
asks through the carrier; windows, directory, poller and subscriber work with it; client is the door.
"""
