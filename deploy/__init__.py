"""What runs the service elsewhere and monitors it there: configuration, and what writes it.

Imports the Grafana Foundation SDK, a dependency of development only; nobody imports this package.
"""
