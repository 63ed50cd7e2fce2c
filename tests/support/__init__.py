"""What tests share: real Luau and real Lua to run scripts in."""
