"""The claims of the sandbox: what happens to each (plan), its lines and tickets, its form and its approval trail."""
