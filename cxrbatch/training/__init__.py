"""From a hospital's own folder and labels to a bundle that can be judged: a joining package."""
