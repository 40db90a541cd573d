"""The film check of a bundle: fitting it, judging it, and a site's own limits. A joining package."""
