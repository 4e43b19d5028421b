"""What merging and shrinking firmware need to know about its source."""
