"""Statistics, tables and styles of the comparison: numbers in, numbers out. Imports no torch."""
