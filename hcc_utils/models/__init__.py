"""Model CS, Model D and Model CSD, and the bundle they are frozen in."""
