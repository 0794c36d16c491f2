"""Where batches are worked on, other than in processes of this machine: on a cluster, by Ray."""
