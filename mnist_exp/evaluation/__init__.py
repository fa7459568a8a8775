"""Finished runs put to use: scored again, tried on harder images, asked about images of anybody's."""
