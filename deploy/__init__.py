"""What runs the service elsewhere and watches it there: configuration, and what writes it.

Imports nothing but the standard library; nobody imports it.
"""
