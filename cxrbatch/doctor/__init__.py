"""What is wrong with an installation, in a minute. Joins the rooms; only the command line uses it."""
