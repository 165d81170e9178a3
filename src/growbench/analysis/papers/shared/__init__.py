"""What the tables of several papers share: cells, columns, rows, tasks, and how a table is written."""
