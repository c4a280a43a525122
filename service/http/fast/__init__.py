"""The fast path: requests that are served inside the HTTP protocol, without ASGI."""
