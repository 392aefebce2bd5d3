"""The door to the PBX: its users come in, calendar presences go out (pbx-link.md)."""
