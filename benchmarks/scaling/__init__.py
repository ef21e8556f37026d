"""What more workers bring, and what a record costs then."""
