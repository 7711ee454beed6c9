"""Let through what was shown to be good: gate, bundle, promote and roll back."""
