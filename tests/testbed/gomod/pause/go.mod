module keyturn.local/pause

go 1.26.0
