"""What is told to people: console, pages, tables, figures."""
