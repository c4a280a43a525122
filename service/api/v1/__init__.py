"""The service's own API under /v1: predictions, models, samples, administration."""
