"""The federation's own certificate authority, and the server's certificate."""
