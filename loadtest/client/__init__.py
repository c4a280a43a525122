"""Clients that put a service under load: wrk, asyncio, locust, and an open loop."""
