"""The protector: a Luau compiler front end and passes that hand back Luau; text in, text or diagnostics out, no I/O."""
