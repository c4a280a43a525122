"""Whether enough memory is left to load another model."""

from contract.memory import free_memory


def shortage(reserve: int) -> str | None:
    """Why nothing more is loaded, and what can be is unloaded; None: `reserve` bytes are free."""
    free = free_memory()
    if free is None or free >= reserve:
        return None
    return (
        f"{free // 2**20} MiB of memory are free, DIGITSERVE_MEMORY_RESERVE asks for "
        f"{reserve // 2**20} MiB"
    )
