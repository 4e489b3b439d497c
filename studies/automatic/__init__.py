"""`auto`: which forecaster, policy and safety setting cost least on earlier windows of the history."""
