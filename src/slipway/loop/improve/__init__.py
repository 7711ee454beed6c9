"""One turn of improvement: rows of feedback, recipes, a search on dev, one look at gate. Read `turn` first."""
