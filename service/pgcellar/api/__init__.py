"""What the parts say to one another: wire records, Protocols, errors, the HTTP client. No SQL, no server."""
