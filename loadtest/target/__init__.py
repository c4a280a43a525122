"""What is measured: servers, how they are started, and what they report of themselves."""
