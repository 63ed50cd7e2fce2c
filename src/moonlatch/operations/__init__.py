"""Everything that can be done to an installation, one module per noun. Knows no face: no HTTP, no terminal, no Discord."""
