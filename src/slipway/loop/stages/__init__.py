"""What a run does, a module for each stage, in this order: data, adapt, evaluate, release."""
