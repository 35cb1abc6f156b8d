"""Amazon's Route 53 as moto plays it, with users who may edit, or only read.

Says in one line of JSON where it listens and what the test needs to know; then
answers `GET /sets` on a second port with what its zone holds.
"""

import http.server
import json
import sys
from urllib.parse import parse_qsl, quote, urlencode

import boto3
import flask
from moto import settings
from moto.iam import access_control
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.route53.models import RecordSet, route53_backends

APEX = sys.argv[1]
READ = ["route53:ListHostedZonesByName", "route53:ListResourceRecordSets"]


def client(service, endpoint):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="setup",
        aws_secret_access_key="setup",
    )


def user(iam, name, actions):
    """A user with these rights and no other; its access key."""
    iam.create_user(UserName=name)
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return [key["AccessKeyId"], key["SecretAccessKey"]]


def zone(route53, reference):
    made = route53.create_hosted_zone(Name=APEX, CallerReference=reference)
    return made["HostedZone"]["Id"].rsplit("/", 1)[-1]


def check_signature_as_sent(self, check=access_control.IAMRequest.check_signature):
    """moto signs the query as it decoded it, Amazon as its rules encode it."""
    raw = flask.request.environ["RAW_URI"]
    path, _, query = raw.partition("?")
    pairs = sorted(parse_qsl(query, keep_blank_values=True))
    self._path = path + ("?" + urlencode(pairs, quote_via=quote, safe="-_.~") if pairs else "")
    self._data = {}
    check(self)


def made_as_shown(self, kwargs, make=RecordSet.__init__):
    """Amazon shows the asterisk of a wildcard by its octal code, whoever wrote it."""
    make(self, kwargs | {"Name": kwargs["Name"].replace("*", "\\052")})


access_control.IAMRequest.check_signature = check_signature_as_sent
RecordSet.__init__ = made_as_shown


class Sets(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        backend = route53_backends["123456789012"]["aws"]
        held = [
            {"name": one.name.replace("\\052", "*"), "type": one.type, "ttl": int(one.ttl), "values": one.records}
            for one in list(backend.zones[Sets.zone].rrsets)
            if one.type not in ("NS", "SOA")
        ]
        body = json.dumps(held).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "%s:%s" % server.get_host_and_port()
    endpoint = "http://" + address
    iam, route53 = client("iam", endpoint), client("route53", endpoint)
    Sets.zone = zone(route53, "the zone")
    found = {
        "api": address,
        "zone": Sets.zone,
        "another": zone(route53, "another of the same name"),
        "editor": user(iam, "editor", READ + ["route53:ChangeResourceRecordSets"]),
        "reader": user(iam, "reader", READ),
    }
    # From here on, keys, signatures and rights count.
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    sets = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sets)
    found["sets"] = "%s:%s" % sets.server_address
    print(json.dumps(found), flush=True)
    sets.serve_forever()


if __name__ == "__main__":
    main()
