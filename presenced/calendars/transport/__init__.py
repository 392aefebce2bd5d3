"""The transport of the calendar doors: carries requests signed in, within limits, over aiohttp.

http_carrier puts it together; limits says who may go, gate and authentication (and ntlm) as whom, lanes on
which connection, tls whom to trust, transcript what the debug log shows of it.
"""

from presenced.calendars.transport.authentication import TokenSource
from presenced.calendars.transport.http_carrier import HttpCarrier
from presenced.calendars.transport.record import RequestRecord

__all__ = ["HttpCarrier", "RequestRecord", "TokenSource"]
