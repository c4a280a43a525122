"""Whether the service in this container is ready: exit code 0, or 1 with the reason.

Docker runs it every few seconds, so it imports almost nothing: `http.client` alone would double its
cost.
"""

import os
import socket
import sys

PATIENCE = 2.0  # seconds
REQUEST = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def main() -> int:
    port = int(os.environ.get("DIGITSERVE_PORT", "8000"))
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(REQUEST)
            answer = connection.recv(65536)
    except OSError as error:
        print(f"nobody answers on port {port}: {error}")
        return 1
    status, _, rest = answer.partition(b"\r\n")
    if b" 200 " in status + b" ":
        return 0
    print(status.decode(), rest.partition(b"\r\n\r\n")[2].decode())
    return 1


if __name__ == "__main__":
    sys.exit(main())
