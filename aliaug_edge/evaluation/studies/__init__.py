"""Questions about the method that are not about a detector, each one command with a report."""
