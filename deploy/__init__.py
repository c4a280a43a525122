"""Configuration that deploys and monitors the service, and the programs that generate it.

It uses the Grafana Foundation SDK, a development dependency. No other package imports it.
"""
