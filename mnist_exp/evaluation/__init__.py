"""Finished runs put to use: scored again, tried on harder images, used on the user's own pictures."""
