"""Errors of the model store: one class to catch, and one for each cause."""


class StoreError(Exception):
    """Something in the model store is wrong; the message names it and what to do."""


class BadName(StoreError, ValueError):
    """The name cannot be that of a folder in the store."""


class BrokenVersion(StoreError):
    """A file in the store is not the one that the card describes; the message names it."""


class NewerVersion(BrokenVersion):
    """A newer release of this project has published the version; this one cannot read its card."""


class NoVersion(StoreError):
    """The requested version, or any version at all, is missing from the store."""


class NoModel(NoVersion):
    """The store has no folder of that model, or is missing itself."""


class Moved(StoreError):
    """Another version than the expected one is current."""


class WorseVersion(StoreError):
    """The version is known to be worse than the current one, which stays."""


class Untrusted(BrokenVersion):
    """The card is not signed with a key that is trusted."""


class Unreachable(StoreError):
    """The bucket of the model store does not answer, or not as an object store does."""


class AccessDenied(Unreachable):
    """The credentials for the bucket are missing, wrong, or do not allow the request."""


class MissingObject(StoreError):
    """The bucket has no object with that key."""


class NotConfirmed(Exception):
    """The change was made and is visible, but the disk does not confirm that it is stored."""
