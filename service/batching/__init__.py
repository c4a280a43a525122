"""Turns concurrent requests for a few images each into few model calls of many.

Knows nothing of HTTP, ONNX Runtime or Prometheus: a model is any callable, see `interface`.
"""
