"""Who may call what at a provider."""

from service_kit.server.access import CHANGE, PEER, READ, AccessTable, methods

PROVIDER_ACCESS: AccessTable = {
    **methods(
        "offsite.provider.v1.OrganizationService",
        CreateOrganization=CHANGE,
        GetOrganization=READ,
        ListOrganizations=READ,
        UpdateOrganization=CHANGE,
        SuspendOrganization=CHANGE,
        ResumeOrganization=CHANGE,
        DeactivateOrganization=CHANGE,
        ReactivateOrganization=CHANGE,
        RotateRegistrationKey=CHANGE,
        ChangeCustomerGuid=CHANGE,
        DetachOrganization=CHANGE,
        ConfirmRewound=CHANGE,
    ),
    **methods("offsite.provider.v1.TermsService", GetTerms=READ, UpdateTerms=CHANGE),
    **methods(
        "offsite.provider.v1.AttachmentService",
        ValidateRegistrationKey=PEER,
        Attach=PEER,
        Detach=PEER,
        GetEntitlement=PEER,
    ),
    **methods(
        "offsite.provider.v1.HostedArchiveService", GetHostedUsage=PEER, CreateHostedGrant=PEER
    ),
    **methods(
        "offsite.provider.v1.SeatService",
        OpenSession=PEER,
        AcquireSeat=PEER,
        ReleaseSeat=PEER,
        ListSeats=PEER,
        ReconcileSeats=PEER,
        ResyncSeats=PEER,
        ListOrganizationSeats=READ,
        RevokeSeat=CHANGE,
        RestoreSeat=CHANGE,
    ),
}
