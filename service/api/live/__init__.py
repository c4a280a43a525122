"""GET /v1/live: a stream of events that summarise how the service is doing."""
