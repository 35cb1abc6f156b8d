"""A DNS provider as a program, after docs/exec-provider.md: keeps zones in one JSON file.

Usage: provider.py DIRECTORY [--careless | --stranger]
--careless loses a value; --stranger has no right to anything. For tests, each question meets what
the next line of the file `faults` says, and is noted in `seen`.
"""

import fcntl
import json
import os
import sys
import time

FOREIGN = {
    "example.test TXT": [300, ["somebody-else=1"]],
    "old.example.test TXT": [300, ["cut in two"]],
    "*.wild.example.test TXT": [300, ["wild"]],
    "*.wild.example.test A": [300, ["192.0.2.9"]],
    "a.example.test A": [300, ["192.0.2.7"]],
}
ZONES = {
    "example.test": FOREIGN,
    "2.0.192.in-addr.arpa": {},
    "8.b.d.0.1.0.0.2.ip6.arpa": {},
}


def say(**line):
    print(json.dumps(line))


def refuse(error, **more):
    say(error=error, **more)
    sys.exit(0)


def key(one):
    return f"{one['name']} {one['type']}"


def read(path, otherwise):
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return otherwise


def write(path, value):
    with open(path + ".new", "w") as file:
        json.dump(value, file)
    os.replace(path + ".new", path)


def fault(directory, operation):
    """What becomes of this question, as the next line of `faults` says."""
    with open(os.path.join(directory, "seen"), "a") as seen:
        seen.write("GET\n" if operation == "list" else "SET\n")
    path = os.path.join(directory, "faults")
    closed = read(path + ".until", 0)
    if time.time() < closed:
        refuse("slow down", kind="rate-limit")
    try:
        with open(path) as file:
            first, *rest = file.read().splitlines() or ["none"]
    except FileNotFoundError:
        return "none"
    with open(path, "w") as file:
        file.writelines(line + "\n" for line in rest)
    word, *seconds = first.split()
    if word == "rate-limit" and seconds:
        write(path + ".until", time.time() + int(seconds[0]))
        refuse("slow down", kind="rate-limit", retry_after=int(seconds[0]))
    if word in ("rate-limit", "transient"):
        refuse("not now", kind=word)
    return word


def main(directory, flags):
    question = json.loads(sys.stdin.readline())
    if question["version"] != 1:
        refuse(f"version {question['version']} of the protocol is not known here")
    if "--stranger" in flags:
        refuse("the password is wrong", kind="credentials", hint="ask for a new one")
    store = os.path.join(directory, "zones.json")
    with open(store + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        word = fault(directory, question["operation"])
        zones = read(store, ZONES)
        answers = answer(question, zones, flags)
        write(store, zones)
    if word == "lost":
        sys.exit(1)
    if word == "failed":
        refuse("something went wrong", kind="transient")
    text = "".join(json.dumps(line) + "\n" for line in [*answers, {"done": True}])
    sys.stdout.write(text[: len(text) // 2] if word == "cut" else text)


def answer(question, zones, flags):
    zone = zones.get(question["zone"])
    if zone is None:
        refuse(f"there is no zone {question['zone']}", hint="make it first")
    if question["operation"] == "list":
        return [
            dict(zip(("name", "type"), name.split()), ttl=ttl, values=values)
            for name, (ttl, values) in zone.items()
        ]
    if question["operation"] != "set":
        refuse(f"the operation {question['operation']} is not known here")
    before, want = question["before"], question["want"]
    stored = zone.get(key(want), [None, []])
    if sorted(stored[1]) != sorted(before["values"]):
        refuse("it changed meanwhile", kind="conflict")
    values = want["values"][1:] if "--careless" in flags else want["values"]
    if values:
        zone[key(want)] = [want["ttl"] or stored[0] or 300, values]
    else:
        zone.pop(key(want), None)
    return []


main(sys.argv[1], sys.argv[2:])
