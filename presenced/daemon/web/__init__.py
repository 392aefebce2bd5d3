"""The status page: server-rendered, small scripts where they help, everything works without them."""
