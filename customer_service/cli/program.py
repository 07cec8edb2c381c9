"""What this command is called and where its server listens."""

from service_kit.cli.options import Program

PROGRAM = Program(
    name="offsite-customer",
    prefix="OFFSITE_CUSTOMER_",
    service="customer_service",
    grpc="127.0.0.1:7501",
    https="127.0.0.1:7502",
)
