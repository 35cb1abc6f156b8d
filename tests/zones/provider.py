"""A DNS provider as a program, after docs/exec-provider.md: keeps zones in one JSON file.

Usage: provider.py STORE [--busy | --careless]
--busy refuses each question the first time that it is put; --careless loses a value.
"""

import fcntl
import json
import os
import sys

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


def main(store, flags):
    text = sys.stdin.readline()
    question = json.loads(text)
    if question["version"] != 1:
        refuse(f"version {question['version']} of the protocol is not known here")
    with open(store + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        zones, asked = ZONES, []
        if os.path.exists(store):
            with open(store) as file:
                zones, asked = json.load(file)
        busy = "--busy" in flags and text not in asked
        if busy:
            asked.append(text)
        else:
            answer(question, zones, flags)
        with open(store + ".new", "w") as file:
            json.dump([zones, asked], file)
        os.replace(store + ".new", store)
    if busy:
        refuse("try again", kind="transient", retry_after=0)


def answer(question, zones, flags):
    zone = zones.get(question["zone"])
    if zone is None:
        refuse(f"there is no zone {question['zone']}", hint="make it first")
    if question["operation"] == "list":
        for name, (ttl, values) in zone.items():
            owner, rtype = name.split()
            say(name=owner, type=rtype, ttl=ttl, values=values)
    elif question["operation"] == "set":
        before, want = question["before"], question["want"]
        stored = zone.get(key(want), [None, []])
        if sorted(stored[1]) != sorted(before["values"]):
            refuse("it changed meanwhile", kind="conflict")
        values = want["values"][1:] if "--careless" in flags else want["values"]
        if values:
            zone[key(want)] = [want["ttl"] or stored[0] or 300, values]
        else:
            zone.pop(key(want), None)
    else:
        refuse(f"the operation {question['operation']} is not known here")
    say(done=True)


main(sys.argv[1], sys.argv[2:])
