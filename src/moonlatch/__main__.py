"""`python -m moonlatch`: the command line."""

from moonlatch.cli import main

main()
