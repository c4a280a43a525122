"""Memory: how much there is, how much all processes may take, and how the allocator is set."""
