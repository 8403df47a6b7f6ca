"""A port that strangers reach: limits of connections, from before the TLS handshake to the end."""
