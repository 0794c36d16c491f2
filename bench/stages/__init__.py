"""What is done with batches: generate, judge; one after the other, or on a cluster at once."""
