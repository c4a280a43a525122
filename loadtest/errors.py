"""What keeps the bench from measuring."""


class CannotMeasure(Exception):
    """The machine, a server or a file is not what the bench needs; the message says which."""
