"""What a reader sees: figures, the explorer, the book's own parts."""
