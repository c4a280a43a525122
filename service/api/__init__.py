"""Routes: what each request means, and what its response says."""
