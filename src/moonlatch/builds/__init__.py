"""What an update does: check, protect and publish a script, in worker processes."""
