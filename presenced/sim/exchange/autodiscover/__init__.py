"""Autodiscover as an Exchange server speaks it, in its three dialects: SOAP, POX and JSON.

Written from [MS-OXWSADISC], [MS-OXDSCLI] and the client developer pages of the same names. `directory` knows
what is to be said of an address, `soap` and `pox` say it, `service` says it in JSON and is the HTTP around
them.
"""
