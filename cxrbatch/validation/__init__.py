"""A validation from two tables to a folder: where evaluation and its report are joined."""
