"""Claims and vouchers explained: ``answer`` asks the databases, ``history`` the run ledger, ``model`` says what comes out."""
