"""What the bridge costs, as a process, under boards that another process plays."""
