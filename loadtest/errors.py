"""What keeps the bench from measuring."""


class CannotMeasure(Exception):
    """The machine, a server or a file is not what the bench needs; the message says which."""


class NoProvider(CannotMeasure):
    """What is to be measured does not run on this machine; the message says what is missing."""
