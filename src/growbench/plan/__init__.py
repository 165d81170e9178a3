"""What a method asks of training, and its price."""
