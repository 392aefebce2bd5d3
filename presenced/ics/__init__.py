"""Calendar files (iCalendar, RFC 5545) as mail programs export them: text in, raw appointments out.

No input or output happens here. The commands and the simulated Exchange share it.
"""
