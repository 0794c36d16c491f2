"""What a run is asked for, what decides its results, and what both come to."""
