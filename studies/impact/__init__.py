"""What a forecast is worth: forecasters and policies crossed, accuracy beside money, and what mistakes cost."""
