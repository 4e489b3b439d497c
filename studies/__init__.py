"""What a policy is worth: paired comparisons, backtests, run folders and reports."""
