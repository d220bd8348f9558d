"""What the parts say to one another: wire records, errors, the HTTP client. No SQL, no server."""
