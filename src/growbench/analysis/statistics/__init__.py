"""Savings, intervals, aggregate scores."""
