"""Files: remote folders, databases that are not trusted, weights of small networks."""
