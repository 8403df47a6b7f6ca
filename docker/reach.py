"""Print the result of a TCP connection to ``HOST PORT``: open, closed, no way or no name."""

import socket
import sys

try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5).close()
    print("open")
except socket.gaierror:
    print("no name")
except ConnectionRefusedError:
    print("closed")
except OSError:
    print("no way")
