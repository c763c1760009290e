"""What the tool costs, beside what else could be used."""
