"""`python -m provider_service.cli`."""

from provider_service.cli import main

main()
