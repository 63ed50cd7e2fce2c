"""Makes one script of a folder of modules. Pure: files are given by a function, nothing is read or written here."""
