"""The nouns `archive` and `usage`, the same in both programs."""
