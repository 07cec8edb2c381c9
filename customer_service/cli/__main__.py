"""`python -m customer_service.cli`."""

from customer_service.cli import main

main()
