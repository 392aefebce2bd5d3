"""What a running daemon answers when asked: why, how it stands, how well; and the socket to ask it on."""
