"""Discord: interactions over HTTP, the panel that customers use, and the roles that keys give."""
