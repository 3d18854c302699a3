"""What leaves a centre, and what many centres say together."""
