"""The calendar doors: Exchange through EWS, Microsoft 365 through Graph, and what both need."""
