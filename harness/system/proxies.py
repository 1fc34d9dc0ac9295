"""Proxies are for other machines: what listens here is reached directly."""

from collections.abc import Iterable, Mapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")
VARIABLES = ("no_proxy", "NO_PROXY")
GRPC_VARIABLE = "no_grpc_proxy"
"""gRPC, which joins TensorFlow's workers, asks this one first where it is set."""


def without_proxies(environ: Mapping[str, str], hosts: Iterable[str] = ()) -> dict[str, str]:
    """`environ` with this machine and `hosts` exempt from every proxy.

    Args:
        environ: Variables by name.
        hosts: Further names or addresses, such as those of other workers.
    """
    exempt = {**environ}
    named = (*LOOPBACK, *hosts)
    for variable in (*VARIABLES, *((GRPC_VARIABLE,) if GRPC_VARIABLE in environ else ())):
        # The two spellings may differ; what either exempts stays exempt.
        before = environ.get(variable) or environ.get(variable.swapcase()) or ""
        listed = [word.strip() for word in before.split(",") if word.strip()]
        if "*" not in listed:
            listed += [host for host in dict.fromkeys(named) if host not in listed]
        exempt[variable] = ",".join(listed)
    return exempt
