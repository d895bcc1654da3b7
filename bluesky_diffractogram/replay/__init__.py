"""Past scans: stored runs computed again, and files of what was derived."""
