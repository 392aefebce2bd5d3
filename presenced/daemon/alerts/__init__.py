"""Notices to the admins by mail and webhook: one when something goes wrong for long, one when it is over."""
