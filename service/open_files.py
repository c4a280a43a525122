"""Room for connections among the files that a process may have open."""

import resource

from service.errors import CannotStart

OF_ITS_OWN = 256  # files: sockets it listens on, logs, the model's, the libraries'


def allow_connections(count: int) -> None:
    """Raise this process's own limit to what as many connections need; CannotStart if it may not.

    Most shells give a program 1,024 files and leave it to ask for more.
    """
    needed = count + OF_ITS_OWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise CannotStart(
            f"DIGITSERVE_MAX_CONNECTIONS={count} needs {needed} open files, the limit is {hard} "
            "(ulimit -Hn): lower the one or raise the other"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
