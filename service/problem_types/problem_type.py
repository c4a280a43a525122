"""What is known of one kind of problem: the entry of the registry, and of its page."""

from dataclasses import dataclass

PAGES = "/problems"  # the path below which each kind has its page


@dataclass(frozen=True)
class ProblemType:
    """One kind of problem. In the texts, `backticks` enclose what is code."""

    code: str  # stable: clients compare it
    status: int
    title: str
    meaning: str  # what it means and why it happens
    remedy: str  # what to do about it
    settings: tuple[str, ...] = ()  # those that bound what was exceeded
    retry: bool = False  # whether the same request may succeed later

    @property
    def uri(self) -> str:
        """The `type` of a problem document, relative to the service's origin."""
        return f"{PAGES}/{self.code}"
