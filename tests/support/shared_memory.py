"""Memory shared by workers, all of them in this process."""

from service.telemetry.metrics.shared_memory import SERIES, SharedMemory, reserve


def memory_of(slots: int, size: int = SERIES) -> int:
    """Its descriptor, with that many bytes for each slot."""
    return reserve(slots * size)


def workers(slots: int, size: int = SERIES) -> list[SharedMemory]:
    """The mapping of each worker."""
    descriptor = memory_of(slots, size)
    return [SharedMemory(descriptor, slots, slot) for slot in range(slots)]
