"""What `make docs`, `make chart` and the page of states are made from."""
