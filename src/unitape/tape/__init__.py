"""unitape.tape."""
