"""A server that stands in for the mail server, or for a web server of the
domain, with a fault that the real one cannot have.

    python3 party.py '{"kind": "smtp", "listen": [["10.77.1.1", 40025]], …}'

It prints `ready` once it listens everywhere, and ends with its standard input.
"""

import json
import socket
import ssl
import sys
import threading
import warnings

SETTINGS = json.loads(sys.argv[1])
PATIENCE = 30

# Old versions are what it is for.
warnings.simplefilter("ignore", DeprecationWarning)

VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


def tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # What is long forbidden has to be allowed first.
    context.set_ciphers("ALL:@SECLEVEL=0")
    oldest, newest = SETTINGS.get("tls", "1.2-1.3").split("-")
    context.minimum_version = VERSIONS[oldest]
    context.maximum_version = VERSIONS[newest]
    context.load_cert_chain(SETTINGS["chain"], SETTINGS["key"])
    return context


class Lines:
    """A conversation in lines."""

    def __init__(self, connection):
        self.connection = connection
        self.file = connection.makefile("rb")

    def say(self, *lines):
        text = "".join(line + "\r\n" for line in lines)
        self.connection.sendall(text.encode())

    def hear(self):
        return self.file.readline(4096).decode("latin-1")


def reply(lines, code, texts):
    last = len(texts) - 1
    lines.say(*(f"{code}{' ' if n == last else '-'}{t}" for n, t in enumerate(texts)))


def smtp(connection, secured):
    lines = Lines(connection)
    greeting = SETTINGS.get("greeting", "220 " + SETTINGS["host"] + " ESMTP")
    if greeting == "none":
        # Whoever waits for it waits in vain.
        lines.hear()
        return
    if not (secured and SETTINGS["kind"] == "smtp"):
        lines.say(greeting)
    while True:
        line = lines.hear()
        if not line:
            return
        verb, _, rest = line.strip().partition(" ")
        verb = verb.upper()
        if verb in ("EHLO", "HELO"):
            offers = [SETTINGS["host"], "8BITMIME", "SIZE 52428800"]
            if not secured and SETTINGS.get("starttls", "yes") != "no":
                offers.append("STARTTLS")
            offers += SETTINGS.get("secured" if secured else "clear", [])
            reply(lines, 250, offers if verb == "EHLO" else offers[:1])
        elif verb == "STARTTLS" and not secured:
            if SETTINGS.get("starttls") == "refused":
                lines.say("454 4.7.0 TLS not available")
                continue
            lines.say("220 2.0.0 go ahead")
            if SETTINGS.get("starttls") == "broken":
                return
            lines.file.close()
            return smtp(tls().wrap_socket(connection, server_side=True), True)
        elif verb == "MAIL":
            lines.say("250 2.1.0 OK")
        elif verb == "RCPT":
            ours = rest.rstrip(">").lower().endswith("@" + SETTINGS["domain"])
            if ours or SETTINGS.get("relay") == "open":
                lines.say("250 2.1.5 OK")
            else:
                lines.say("554 5.7.1 Relay access denied")
        elif verb in ("VRFY", "EXPN"):
            if SETTINGS.get(verb.lower()) == "open":
                # It tells who is there by telling who is not.
                there = rest.lower() == "postmaster@" + SETTINGS["domain"]
                lines.say(f"250 2.1.5 <{rest}>" if there else "550 5.1.1 nobody of that name")
            else:
                lines.say("502 5.5.1 Command not implemented")
        elif verb in ("RSET", "NOOP"):
            lines.say("250 2.0.0 OK")
        elif verb == "QUIT":
            lines.say("221 2.0.0 Bye")
            return
        else:
            lines.say("502 5.5.1 Command not implemented")


def web(connection):
    lines = Lines(connection)
    path = lines.hear().split(" ")[1]
    headers = iter(lines.hear, "\r\n")
    host = [h.split(":", 1)[1].strip() for h in headers if h.lower().startswith("host:")]
    host = (host or [""])[0].split(":")[0]
    for page in SETTINGS["pages"]:
        if page["host"] in (host, "*") and page["path"] in (path, "*"):
            break
    else:
        page = {"status": "404", "type": "text/plain", "body": "not here\n"}
    body = page["body"].encode()
    head = [f"HTTP/1.1 {page['status']} -", f"Content-Length: {len(body)}", "Connection: close"]
    if page["status"].startswith("3"):
        head.append(f"Location: {page['type']}")
    else:
        head.append(f"Content-Type: {page['type']}")
    lines.say(*head, "")
    connection.sendall(body)


def serve(connection):
    try:
        connection.settimeout(PATIENCE)
        if SETTINGS["kind"] in ("smtps", "https"):
            connection = tls().wrap_socket(connection, server_side=True)
        if SETTINGS["kind"] in ("smtp", "smtps"):
            smtp(connection, SETTINGS["kind"] == "smtps")
        else:
            web(connection)
    except (OSError, ssl.SSLError, IndexError):
        pass  # The client has left, as its own test will tell.
    finally:
        connection.close()


def accept(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def main():
    listeners = []
    for address, port in SETTINGS["listen"]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listeners.append(socket.create_server((address, port), family=family))
    # A mistake in the settings shows before anybody connects.
    if "chain" in SETTINGS:
        tls()
    for listener in listeners:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


main()
