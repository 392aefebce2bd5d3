"""A simulated identity provider that speaks as Microsoft Entra ID does: discovery, tokens and refusals.

Written from Microsoft's documents and RFC 6749, 7523 and 8628 alone, so that a misread of ours on the
client's side is noticed here; it knows none of our doors and no other simulator.
"""
