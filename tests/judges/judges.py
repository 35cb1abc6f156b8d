"""Other programs' verdicts: pyspf, dkimpy and checkdmarc.

    judges.py sign   signs messages with dkimpy
    judges.py judge  asks all three, through the resolver that is named

Both read one JSON document from standard input and print one.
"""

import base64
import json
import sys
import time
import warnings

warnings.simplefilter("ignore", DeprecationWarning)

import dkim
import dns.resolver
import spf
from checkdmarc.dmarc import check_dmarc
from checkdmarc.spf import check_spf


def sign(job):
    """A message with a signature; with `expired`, one whose time was up long ago."""
    message = job["message"].encode()
    key, algorithm = job["key"].encode(), b"rsa-sha256"
    if job["ed25519"]:
        # dkimpy wants the bare seed, which ends the PKCS#8 document.
        document = base64.b64decode("".join(job["key"].splitlines()[1:-1]))
        key, algorithm = base64.b64encode(document[-32:]), b"ed25519-sha256"
    signer = dkim.DKIM(message, signature_algorithm=algorithm)
    if job["expired"]:
        whole, then = signer.gen_header, int(time.time()) - 10 * 86400

        def dated(fields, *rest, **more):
            fields = [field for field in fields if field[0] != b"t"]
            times = [(b"t", b"%d" % then), (b"x", b"%d" % (then + 86400))]
            return whole(fields[:-1] + times + fields[-1:], *rest, **more)

        signer.gen_header = dated
    header = signer.sign(
        job["selector"].encode(),
        job["domain"].encode(),
        key,
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=[b"from", b"to", b"subject", b"date"],
    )
    return (header + message).decode()


def verify(message):
    """dkimpy: whether the one signature holds."""
    try:
        return "pass" if dkim.DKIM(message.encode()).verify() else "fail"
    except dkim.DKIMException:
        return "fail"


def permits(address, sender, helo):
    """pyspf: the result as RFC 7208 names it."""
    result, _ = spf.check2(i=address, s=sender, h=helo)
    return result


def spf_of(domain, resolver):
    """checkdmarc: whether receivers can evaluate the record, and what it costs."""
    found = check_spf(domain, resolver=resolver)
    return {
        "valid": found["valid"],
        "lookups": found.get("dns_lookups"),
        "void": found.get("void_dns_lookups"),
        "said": found.get("error") or found.get("warnings"),
    }


def dmarc_of(domain, resolver):
    """checkdmarc: whether a record applies, where it stands, and what is outdated."""
    found = check_dmarc(domain, resolver=resolver)
    removed = [tag for tag in ("pct", "rf", "ri") if any(f"the {tag} tag was removed" in w for w in found["warnings"])]
    return {
        "valid": found["valid"],
        "at": found["location"],
        "removed": removed,
        "said": found.get("error") or found["warnings"],
    }


def judge(job):
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = [job["resolver"]], job["port"], 10
    dns.resolver.default_resolver = resolver
    return {
        "permits": [permits(*case) for case in job["permits"]],
        "verify": [verify(message) for message in job["verify"]],
        "spf": [spf_of(domain, resolver) for domain in job["spf"]],
        "dmarc": [dmarc_of(domain, resolver) for domain in job["dmarc"]],
    }


job = json.load(sys.stdin)
answer = [sign(one) for one in job] if sys.argv[1] == "sign" else judge(job)
json.dump(answer, sys.stdout)
