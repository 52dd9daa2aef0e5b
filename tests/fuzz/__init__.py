"""Fuzzing: spoiled bytes against everything that reads what a peer sent; see README.md in this folder."""
