"""From recorded or simulated runs to an int8 model bundle that a board can run."""
