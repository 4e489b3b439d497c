"""Gymnasium and Stable-Baselines3 environments on the batched simulator."""
