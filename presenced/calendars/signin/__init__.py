"""Sign-in to Exchange Online and Graph with OAuth2: tokens for the transport, through msal.

tokens keeps the one token everybody uses and refreshes it; issuers get a new one, for the app itself
(credentials) or for the account that signed in once (token_cache, device); entra is the only file that
knows msal, http carries its requests; credentials reads secrets, certificates and token files; clouds says
where to ask, refusals what a no means and what an admin must do.
"""
