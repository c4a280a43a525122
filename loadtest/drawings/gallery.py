"""How drawn digits were read: counted by kind, and a few of them on a contact sheet."""

import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.host.processes import run

WRONG, RIGHT = 72, 72  # images that are kept for the sheet


@dataclass
class Gallery:
    """Of each kind of pen, paper ... the drawings that were right and those that were not."""

    results: list[bool] = field(default_factory=list)
    of_kind: dict[tuple[str, str], list[bool]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[tuple[str, bytes]] = field(default_factory=list)  # caption and file
    shown: list[tuple[str, bytes]] = field(default_factory=list)  # right ones

    def add(self, body: bytes, *, label: str, read: str, kinds: dict[str, str]) -> None:
        is_right = read == label
        self.results.append(is_right)
        for kind in kinds.items():
            self.of_kind[kind].append(is_right)
        kept, room = (self.shown, RIGHT) if is_right else (self.wrong, WRONG)
        if len(kept) < room:
            kept.append((f"{label} read {read}, {kinds['pen']}, {kinds['paper']}", body))

    @property
    def right(self) -> float:
        return sum(self.results) / max(1, len(self.results))

    def summary(self) -> str:
        """The share of right ones, of all and of each kind."""
        lines = [
            f"{sum(self.results)} of {len(self.results)} drawn digits right ({self.right:.2%})"
        ]
        for kind in dict.fromkeys(kind for kind, _ in self.of_kind):
            lines.append(f"\n{kind:<16}   right     of")
            for (one, what), results in sorted(self.of_kind.items()):
                if one == kind:
                    share = sum(results) / len(results)
                    lines.append(f"  {what:<14} {share:>7.1%}  {len(results):>5}")
        return "\n".join(lines)

    def write(self, sheet: Path) -> None:
        """The kept ones before and after preprocessing, as its contact sheet shows them."""
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for number, (caption, body) in enumerate(self.wrong + self.shown):
                files.append(Path(folder, f"{number}", caption))  # captions may be the same
                files[-1].parent.mkdir()
                files[-1].write_bytes(body)
            program = (sys.executable, "-m", "preprocessing.contact_sheet")
            run(*program, *map(str, files), "--out", str(sheet.resolve()))
