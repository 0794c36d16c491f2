"""Processes of this machine, and what is done where work in them fails."""
