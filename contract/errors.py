"""What can be wrong with a model store: one exception to catch, and one for each cause."""


class StoreError(Exception):
    """Something in the model store is not as it must be; the message names it and what to do."""


class BadName(StoreError, ValueError):
    """What cannot be the name of a folder in the store."""


class BrokenVersion(StoreError):
    """What lies in the store is not what the card describes; the message names the file."""


class NoVersion(StoreError):
    """The version asked for, or any at all, is not in the store."""


class Untrusted(BrokenVersion):
    """The card is not signed with a key that is trusted."""


class NotConfirmed(Exception):
    """What was asked is done and seen by everybody, but the disk does not say that it has it."""
