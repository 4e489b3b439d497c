"""Sales history: tables read, checked and turned into a panel."""
