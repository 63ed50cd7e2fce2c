"""Compiles a script's functions to bytecode and writes the virtual machine, made for this one build, that runs it."""
