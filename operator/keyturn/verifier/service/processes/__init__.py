"""One replica on several cores: who binds the sockets, who takes a connection."""
