"""What reading the images tells: facts of each one, duplicates among them, and findings for a person."""
