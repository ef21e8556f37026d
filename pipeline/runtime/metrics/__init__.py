"""What a worker measures of itself: counted by its thread, published once a second, read by any."""
