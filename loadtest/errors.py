"""Why something cannot be measured."""


class CannotMeasure(Exception):
    """The machine, a server or a file is not what the bench needs; the message names it."""


class NoProvider(CannotMeasure):
    """The provider does not run on this machine; the message names what is missing."""
