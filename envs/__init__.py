"""What happens to stock: state, demand, dynamics and the environments built on them."""
