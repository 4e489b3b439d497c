"""What a careful statistician would ask of a comparison."""
