"""How processes run: one server, several under a supervisor, the service manager that started them."""
