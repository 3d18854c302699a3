"""The synthetic network of five hospitals, with its truth."""
