"""Child processes that never outlive us."""

from __future__ import annotations

from collections.abc import Sequence

# A child under a small supervisor: when our end of its standard input closes, because we stop it or because this
# process has died in whatever way, the supervisor ends the child, by its own pid.
_SUPERVISOR = """
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ cat <&3 >/dev/null; kill "$child"; } 2>/dev/null &
watch=$!
exec 3<&-
wait "$child"; code=$?
kill "$watch" 2>/dev/null
exit "$code"
"""


def supervised(command: Sequence[str]) -> list[str]:
    """``command`` under the supervisor: start it with ``stdin=subprocess.PIPE``, close that to end it by SIGTERM."""
    return ["/bin/sh", "-c", _SUPERVISOR, "supervised", *command]
