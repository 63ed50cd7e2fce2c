"""Who is connected: presence, open sessions, and messages to them."""
