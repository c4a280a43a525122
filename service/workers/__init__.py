"""Several worker processes on one port: their supervisor, sockets, and messages."""
