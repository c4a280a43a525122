"""Control groups as the kernel presents them, in a temporary folder."""

from pathlib import Path


class Groups:
    """A hierarchy, of version 2 or of one controller of version 1."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"  # in place of /proc/self
        self._mounted = folder / "groups of a test"  # with blanks, which the kernel escapes
        self._controller = ""  # version 2
        self.proc.mkdir()

    def version_2(self, group: str, **files: str) -> None:
        self._make("", group, files)

    def version_1(self, controller: str, group: str, **files: str) -> None:
        self._make(controller, group, files)

    def process_is_in(self, group: str, mounted: str = "/") -> None:
        """`mounted` is the group at the mount point, and has the files of `version_2("/")`."""
        controller = self._controller
        line = f"4:cpuset,{controller}:{group}" if controller else f"0::{group}"
        (self.proc / "cgroup").write_text(f"7:pids:/elsewhere\n{line}\n")
        kind = "cgroup" if controller else "cgroup2"
        options = f"rw,cpuset,{controller}" if controller else "rw"
        point = str(self._mounted).replace(" ", r"\040")
        (self.proc / "mountinfo").write_text(
            "23 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
            f"41 31 0:38 {mounted} {point} rw,relatime shared:9 - {kind} {kind} {options}\n"
        )

    def _make(self, controller: str, group: str, files: dict[str, str]) -> None:
        self._controller = controller
        folder = self._mounted / group.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            first, _, rest = name.partition("_")  # cpu_cfs_quota_us stands for cpu.cfs_quota_us
            (folder / f"{first}.{rest}").write_text(f"{content}\n")
        self.process_is_in("/")
