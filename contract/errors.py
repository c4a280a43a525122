"""Errors of the model store: one class to catch, and one for each cause."""


class StoreError(Exception):
    """Something in the model store is not as it must be; the message names it and what to do."""


class BadName(StoreError, ValueError):
    """What cannot be the name of a folder in the store."""


class BrokenVersion(StoreError):
    """What lies in the store is not what the card describes; the message names the file."""


class NoVersion(StoreError):
    """The requested version, or any at all, is not in the store."""


class Untrusted(BrokenVersion):
    """The card is not signed with a key that is trusted."""


class NotConfirmed(Exception):
    """The change is made and visible, but the disk does not confirm that it is stored."""
