"""Web pages for people, over the same verbs and the same documents as the command line. Knows no model and no table."""
