"""The log: one event a line, as JSON or text, written by a thread that never blocks a request."""
