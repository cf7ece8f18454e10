"""Peers' losses by their own names, argument orders and units: pml (pytorch-metric-learning 2.9) and insightface (arcface_torch)."""
