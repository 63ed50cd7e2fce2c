"""The management API: what script developers, their dashboards and bots call."""
