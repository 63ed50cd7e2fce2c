"""HTTP and WebSocket transport below every face, and rate limits."""
