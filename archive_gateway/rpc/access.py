"""Who may call what of the archives."""

from service_kit.server.access import CHANGE, READ, AccessTable, methods

ARCHIVE_ACCESS: AccessTable = {
    **methods(
        "offsite.common.v1.ArchiveService",
        GetArchive=READ,
        UndeleteArchive=CHANGE,
        PurgeArchive=CHANGE,
        AllowPrune=CHANGE,
        CreateGrant=CHANGE,
        ListGrants=READ,
        RevokeGrant=CHANGE,
        ScrubArchive=CHANGE,
        RebuildArchive=CHANGE,
    ),
    **methods(
        "offsite.common.v1.UsageService", GetUsage=READ, ListUsage=READ, ListDeviceUsage=READ
    ),
}
