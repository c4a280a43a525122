"""The service on a Ray cluster: docs/how-to/ray.md."""
