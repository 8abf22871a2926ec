# SPDX-License-Identifier: GPL-2.0-only
"""What servers of threads have in common."""
import contextlib
import socket
import threading


def serve_each(listener, serve):
    """serve(socket) for each connection that comes, in a thread of its own, until the listener ends."""
    def accept():
        with contextlib.suppress(OSError):
            while True:
                conn, _ = listener.accept()
                if conn.family != socket.AF_UNIX:
                    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=serve, args=(conn,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
