"""What every tuner that trains with torch shares: the loop, its checkpoints, where it runs, what its failures mean."""
