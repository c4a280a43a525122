"""Prometheus metrics, counted in memory that the workers share and summed at each scrape."""
