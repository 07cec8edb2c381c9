"""What this command is called and where its server listens."""

from service_kit.cli.options import Program

PROGRAM = Program(
    name="offsite-provider",
    prefix="OFFSITE_PROVIDER_",
    service="provider_service",
    grpc="127.0.0.1:7401",
    https="127.0.0.1:7402",
)
