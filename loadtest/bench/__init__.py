"""What the service costs, next to what it cannot cost less than, and next to its peers."""
