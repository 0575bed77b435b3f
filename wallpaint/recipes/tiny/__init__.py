"""The recipe that makes the `room-tiny` family from rendered rooms: `python -m wallpaint.recipes.tiny --pool DIR`."""
