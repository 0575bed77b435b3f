"""Repaint the walls of a room photo in a paint colour, and train the model on your own rooms."""
