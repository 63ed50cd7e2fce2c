"""The protocol for running scripts: loader, execute, heartbeat, session. Bare ASGI: the hot path."""
