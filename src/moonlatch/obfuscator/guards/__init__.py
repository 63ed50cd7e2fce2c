"""Functions that only their input opens: taken out of the script, enciphered under a key from the text, opened while it runs."""
