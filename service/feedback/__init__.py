"""Corrections of users: how fast they may come, and the folder that keeps them."""
