"""Play the story; `--keep` leaves the servers running."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from device_agent.restic import find
from service_kit.errors import OffsiteError
from tests.end_to_end.demo.story import Story
from tests.end_to_end.demo.telling import say
from tests.support.processes import ServerProcess


def what_to_try(provider: ServerProcess, customer: ServerProcess) -> None:
    """Commands for those who keep the servers."""
    say("\nThe servers keep running. Try, in this shell:")
    say(f"  export PATH={Path(sys.executable).parent}:$PATH")
    for server in (provider, customer):
        prefix = server.program.replace("-", "_").upper()
        say(f"  export {prefix}_DATA={server.data} {prefix}_ENDPOINT={server.address}")
    say("  offsite-provider audit list --org Acme")
    say("  offsite-provider org rotate-key Acme --quiet >key")
    say(
        f"  offsite-customer storage attach --name Offsite-2 --hostname {provider.address} "
        "--guid $(offsite-provider identity --quiet) --key-file key"
    )
    say("  offsite-customer storage list")
    say("  eval $(offsite-provider env)   # for grpcurl")
    children = [server.child for server in (provider, customer) if server.child]
    say(f"  kill {' '.join(str(child.pid) for child in children)}   # the end")
    say(f"  rm -r {provider.data.parent}")


def main() -> None:
    """Play the story; `--keep` leaves the servers running."""
    keep = "--keep" in sys.argv[1:]
    begin = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="offsite-demo-"))
    restic = _restic()
    story = Story(folder, restic)
    try:
        story.play()
    except BaseException:
        story.end()
        say(f"\nThe servers' logs: {folder}/*/server.log")
        raise
    say(f"\nAll of it held, in {time.monotonic() - begin:.0f} s.")
    if keep:
        what_to_try(story.provider.server, story.customer.server)
    else:
        story.end()
        shutil.rmtree(folder)
    if restic is None:
        raise SystemExit("NOT PLAYED: the archive's part, as there is no restic, see above.")


def _restic() -> Path | None:
    """The restic that the computers' program would take; None where there is none."""
    try:
        return find(None).program
    except OffsiteError as error:
        say(f"No byte will be backed up. {error.message} {error.advice}")
        return None


if __name__ == "__main__":
    main()
