"""AWS for tests: ministack, with what it lacks of EKS and STS, and with what only a test wants of AWS.

What it lacks is added to it in this process, so that signatures and permissions are checked there as for everything
else. Every answer of EKS, ministack's and ours, is held to the model that the SDK of AWS for Python has of it. What a
test wants (failures, slowness, a look at the calls) is asked for under `/_double/`, and what pods get of the agent of
EKS Pod Identity on their node under `/_agent/`.
"""

import asyncio
import json
import re
import time
import urllib.parse
import uuid

import botocore.session
from botocore.validate import ParamValidator
from ministack.app import app as ministack
from ministack.core import iam_actions, iam_evaluator
from ministack.services import eks, iam, sts

MODEL = botocore.session.get_session().get_service_model("eks")
MODES = ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"]
# What Kubernetes and EKS keep for themselves.
RESERVED = re.compile(r"^(system:|eks:|aws:|amazon:|iam:)")

# It takes whoever claims to be the root of an account at his word; here his signature is checked as everybody's.
iam_evaluator._is_root_key = lambda key: not key

calls = []
faults = []
disagreements = []
# How many looks at a cluster or an access entry it takes until a change shows.
lag = {"reads": 0}
pending = {}
# The access keys of pods, and the tags of their sessions, by what a session is called.
pods = {}


def control(path, body):
    """Answers what a test asks of the double itself."""
    if path == "/_double/calls":
        return calls
    if path == "/_double/disagreements":
        return disagreements
    if path == "/_double/fault":
        faults.append(json.loads(body))
        return {}
    if path == "/_double/lag":
        lag.update(json.loads(body))
        return {}
    if path == "/_double/describe":
        describe(**json.loads(body))
        return {}
    return None


def describe(kind, account, region, name, fields):
    """Has EKS say something else of what it has."""
    kept = {"cluster": eks._clusters, "addon": eks._addons, "access-entry": eks._access_entries}[kind]
    thing = next(thing for at, thing in kept.all_items() if at == (account, region, name))
    thing.update(fields)


def credentials_of_pod(account, region, cluster, namespace, service_account):
    """What the agent of EKS Pod Identity gives a pod: a status, and credentials or why there are none.

    Nothing runs in a cluster, so that a pod says itself whose it is.
    """
    if not eks._addons.contains_scoped(account, region, f"{cluster}/eks-pod-identity-agent"):
        return 404, {"message": f"there is no agent on the nodes of {cluster}"}
    wanted = (cluster, namespace, service_account)
    associations = eks._pod_identity_associations.values_scoped(account, region)
    roles = [one["roleArn"] for one in associations if wanted == (one["clusterName"], one["namespace"], one["serviceAccount"])]
    if not roles:
        return 404, {"message": f"service account {namespace}/{service_account} has no association"}
    name = roles[0].rsplit("/", 1)[-1]
    role = iam._roles.get_scoped(account, None, name)
    if not role or not all(lets_pods_in(role, action) for action in ("sts:AssumeRole", "sts:TagSession")):
        return 403, {"message": f"pods.eks.amazonaws.com may not assume {roles[0]} with tags"}
    pod = f"{service_account}-0"
    # The name of a session has at most 64 characters.
    session = f"eks-{cluster}-{pod}"[:27] + f"-{uuid.uuid4()}"
    arn = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
    key, secret, token, hour = iam._gen_session_access_key(), iam._gen_secret(), iam._gen_session_token(), 3600
    tags = {
        "eks-cluster-arn": f"arn:aws:eks:{region}:{account}:cluster/{cluster}",
        "eks-cluster-name": cluster,
        "kubernetes-namespace": namespace,
        "kubernetes-service-account": service_account,
        "kubernetes-pod-name": pod,
        "kubernetes-pod-uid": str(uuid.uuid4()),
    }
    tags = [{"Key": tag, "Value": value} for tag, value in tags.items()]
    known = {"Arn": arn, "UserId": f"{role['RoleId']}:{session}", "AccountId": account, "PrincipalType": "AssumedRole"}
    secrets = {"SecretAccessKey": secret, "SessionToken": token, "Expiration": time.time() + hour}
    sts.register_session(key, known | secrets | {"SessionTags": tags})
    pods[arn] = tags
    return 200, {"AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "Expiration": iam._future(hour)}


def lets_pods_in(role, action):
    """Whether a role's trust policy lets EKS do this for pods."""
    document = role["AssumeRolePolicyDocument"]
    statements = (json.loads(document) if isinstance(document, str) else document)["Statement"]
    effects = {
        statement["Effect"]
        for statement in statements
        if iam_evaluator._service_principal_matches(statement.get("Principal"), "pods.eks.amazonaws.com")
        and iam_evaluator._action_matches(action, as_list(statement.get("Action")), as_list(statement.get("NotAction")))
    }
    return effects == {"Allow"}


def as_list(value):
    """What policies write as one or as many."""
    return value if isinstance(value, list) else [value] if value else []


tags_of_request = sts._session_tags


def tags_of_session(params, check=True):
    """The tags of a session that a session asks for. Those of a pod's go along. They must be allowed on either side."""
    tags, refused = tags_of_request(params, check)
    caller = iam_evaluator.caller_arn()
    own = pods.get(caller, [])
    key = next((key for key, session in sts._sessions.items() if session["Arn"] == caller), None)
    if refused or key is None or not (own or tags):
        return tags, refused
    role = sts._p(params, "RoleArn")
    principal = iam_evaluator.resolve_principal(key, caller.split(":")[4])
    asked = iam_evaluator.EvalContext(
        principal_arn=caller,
        principal_type=principal.type,
        principal_account=principal.account,
        action="sts:TagSession",
        resource_arn=role,
        region="",
        principal_keys=principal.keys,
    )
    if iam_evaluator.evaluate(asked, principal.policies, *principal.limits).decision != "Allow":
        message = f"User: {caller} is not authorized to perform: sts:TagSession on resource: {role}"
        return None, sts._error(403, "AccessDenied", message, ns="sts")
    return own + tags, None


sts._session_tags = tags_of_session


value_of_condition_key = iam_evaluator._resolve_condition_key


def condition_key(key, context):
    """The value of a condition key. `aws:PrincipalArn` is the role, and not its session, in AWS."""
    value = value_of_condition_key(key, context)
    session = re.fullmatch(r"arn:aws[^:]*:sts::(\d+):assumed-role/([^/]+)/.*", str(value))
    if key.lower() != "aws:principalarn" or not session:
        return value
    role = iam._roles.get_scoped(session[1], None, session[2])
    return role["Arn"] if role else value


iam_evaluator._resolve_condition_key = condition_key


def operation_of(scope, headers, body):
    """Such as `eks:DescribeCluster`, as policies of IAM name it."""
    credential = re.search(r"Credential=[^/]+/\d+/[^/]+/([a-z]+)/", headers.get("authorization", ""))
    service = credential.group(1) if credential else "sts"
    query = urllib.parse.parse_qs(scope["query_string"].decode())
    if service == "eks":
        action = iam_actions._match_rest_action("eks", scope["method"], scope["path"], query)
    else:
        action = iam_actions._action_from_query(query, body, headers.get("content-type", ""))
    return f"{service}:{action}"


def take_fault(operation):
    """The next failure that a test wants of an operation, or of all (`*`)."""
    for fault in faults:
        if fault["operation"] in (operation, "*"):
            fault["times"] -= 1
            if fault["times"] <= 0:
                faults.remove(fault)
            return fault
    return None


def refusal(operation, fault):
    """A failure in the form of its service."""
    code, message = fault["code"], fault["message"]
    if operation.startswith("eks:"):
        body = json.dumps({"message": message, "__type": code}).encode()
        headers = [(b"content-type", b"application/json"), (b"x-amzn-errortype", code.encode())]
    else:
        text = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
        )
        body, headers = text.encode(), [(b"content-type", b"text/xml")]
    return fault["status"], headers, body


async def app(scope, receive, send):
    if scope["type"] != "http":
        await ministack(scope, receive, send)
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["path"].startswith("/_agent/"):
        status, answer = credentials_of_pod(*scope["path"].split("/")[2:])
        await respond(send, status, [(b"content-type", b"application/json")], json.dumps(answer).encode())
        return
    answer = control(scope["path"], body)
    if answer is not None:
        await respond(send, 200, [(b"content-type", b"application/json")], json.dumps(answer).encode())
        return
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
    if not headers.get("authorization") and b"X-Amz-Signature" not in scope["query_string"]:
        await ministack(scope, replay(body, receive), send)
        return
    operation = operation_of(scope, headers, body)
    calls.append(operation)
    fault = take_fault(operation)
    if fault and fault["kind"] == "hang":
        await asyncio.sleep(3600)
    if fault and fault["kind"] == "error":
        await respond(send, *refusal(operation, fault))
        return
    status, answered, content = await answer_of_ministack(scope, replay(body, receive))
    if fault:
        await respond(send, *refusal(operation, fault))
        return
    if operation.startswith("eks:"):
        hold_to_model(operation, status, content)
    if operation == "sts:GetCallerIdentity" and headers.get("accept") == "application/json" and status == 200:
        answered, content = [(b"content-type", b"application/json")], identity_as_json(content)
    await respond(send, status, answered, content)


def replay(body, receive):
    """A request's body, once more."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def again():
        return messages.pop() if messages else await receive()

    return again


async def answer_of_ministack(scope, receive):
    status, headers, content = 500, [], b""

    async def collect(message):
        nonlocal status, headers, content
        if message["type"] == "http.response.start":
            status, headers = message["status"], message.get("headers", [])
        elif message["type"] == "http.response.body":
            content += message.get("body", b"")

    await ministack(scope, receive, collect)
    return status, headers, content


async def respond(send, status, headers, content):
    kept = [(name, value) for name, value in headers if name.lower() not in (b"content-length", b"date")]
    kept.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": kept})
    await send({"type": "http.response.body", "body": content})


def identity_as_json(xml):
    """What STS answers to whoever wants JSON, as the authenticator of EKS does."""
    fields = {name: re.search(f"<{name}>(.*?)</{name}>", xml.decode()).group(1) for name in ("Account", "Arn", "UserId")}
    answer = {"GetCallerIdentityResult": fields, "ResponseMetadata": {"RequestId": str(uuid.uuid4())}}
    return json.dumps({"GetCallerIdentityResponse": answer}).encode()


def hold_to_model(operation, status, content):
    """Notes where an answer is not what the model of EKS says."""
    name = operation.removeprefix("eks:")
    model = MODEL.operation_model(name)
    answer = json.loads(content or b"{}")
    if status < 300:
        report = ParamValidator().validate(answer, model.output_shape)
        if report.has_errors():
            disagreements.append(f"{name}: {report.generate_report()}")
        return
    declared = {shape.name for shape in model.error_shapes}
    # What any service of AWS may answer.
    common = {"AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException"}
    if answer.get("__type") not in declared | common:
        disagreements.append(f"{name}: it has no error {answer.get('__type')}")


def mode_of(cluster):
    return cluster.setdefault("accessConfig", {}).setdefault("authenticationMode", "CONFIG_MAP")


def update_config(name, body):
    """UpdateClusterConfig, of the access configuration or of the endpoint, which changes at once."""
    cluster = eks._clusters.get(name)
    if not cluster:
        return eks._error(404, "ResourceNotFoundException", f"No cluster found for name: {name}.")
    if "resourcesVpcConfig" in body:
        cluster["resourcesVpcConfig"].update(body["resourcesVpcConfig"])
        update = {"id": str(uuid.uuid4()), "status": "Successful", "type": "EndpointAccessUpdate", "createdAt": time.time()}
        return eks._json_resp(200, {"update": update})
    wanted = body.get("accessConfig", {}).get("authenticationMode")
    if wanted not in MODES:
        return eks._error(400, "InvalidParameterException", "accessConfig.authenticationMode is not one of " + ", ".join(MODES))
    if cluster["status"] != "ACTIVE":
        return eks._error(409, "ResourceInUseException", f"Cannot update because cluster {name} currently has an update in progress")
    if MODES.index(wanted) <= MODES.index(mode_of(cluster)):
        return eks._error(
            400, "InvalidRequestException", f"Unsupported authentication mode update from {mode_of(cluster)} to {wanted}"
        )
    cluster["status"] = "UPDATING"
    pending[id(cluster)] = [lag["reads"], wanted]
    update = {
        "id": str(uuid.uuid4()),
        "status": "InProgress",
        "type": "AccessConfigUpdate",
        "params": [{"type": "AuthenticationMode", "value": json.dumps(wanted)}],
        "createdAt": time.time(),
        "errors": [],
    }
    return eks._json_resp(200, {"update": update})


def settle(name):
    """One more look at a cluster that is being updated."""
    cluster = eks._clusters.get(name)
    waiting = pending.get(id(cluster))
    if waiting is None:
        return
    if waiting[0] > 0:
        waiting[0] -= 1
        return
    cluster["accessConfig"]["authenticationMode"] = waiting[1]
    cluster["status"] = "ACTIVE"
    del pending[id(cluster)]


def refused_entry(name, method, body):
    """What EKS refuses of access entries, and ministack does not."""
    cluster = eks._clusters.get(name)
    if cluster and mode_of(cluster) == "CONFIG_MAP":
        return eks._error(
            400,
            "InvalidRequestException",
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.",
        )
    for group in body.get("kubernetesGroups", []) if method == "POST" else []:
        if RESERVED.match(group):
            start = RESERVED.match(group).group(1)
            return eks._error(
                400,
                "InvalidParameterException",
                f"The kubernetes group name {group} is invalid, it cannot start with {start}",
            )
    return None


def hidden_entry(method, path):
    """An access entry that was just created, and that EKS does not show yet."""
    if method != "GET" or path not in pending:
        return None
    if pending[path] == 0:
        del pending[path]
        return None
    pending[path] -= 1
    return eks._error(404, "ResourceNotFoundException", "The specified principalArn could not be found.")


def default_username(arn):
    """Who a principal is in a cluster, where nobody says otherwise."""
    role = re.fullmatch(r"arn:(aws[^:]*):iam::(\d+):role/(?:.*/)?([^/]+)", arn)
    return f"arn:{role[1]}:sts::{role[2]}:assumed-role/{role[3]}/{{{{SessionName}}}}" if role else arn


def forget_target(cluster, association):
    """Takes the target role from a Pod Identity association, which an empty one does in EKS."""
    kept = eks._pod_identity_associations.get(eks._pia_key(cluster, association))
    for field in ("targetRoleArn", "externalId") if kept else ():
        kept.pop(field, None)


ministack_eks = eks._handle_request_sync


def handle(method, path, headers, body, query):
    """EKS, with what ministack lacks of it."""
    parsed = json.loads(body) if body else {}
    update = re.fullmatch(r"/clusters/([A-Za-z0-9_-]+)/update-config", path)
    if update and method == "POST":
        return update_config(update.group(1), parsed)
    cluster = re.fullmatch(r"/clusters/([A-Za-z0-9_-]+)", path)
    if cluster and method == "GET":
        settle(cluster.group(1))
    entries = re.match(r"/clusters/([A-Za-z0-9_-]+)/access-entries", path)
    if entries:
        refused = refused_entry(entries.group(1), method, parsed) or hidden_entry(method, urllib.parse.unquote(path))
        if refused:
            return refused
    if entries and method == "POST" and path.endswith("/access-entries"):
        parsed.setdefault("username", default_username(parsed.get("principalArn", "")))
        answer = ministack_eks(method, path, headers, json.dumps(parsed).encode(), query)
        if answer[0] == 200 and lag["reads"]:
            pending[f"{path}/{parsed['principalArn']}"] = lag["reads"]
        return answer
    association = re.fullmatch(r"/clusters/([A-Za-z0-9_-]+)/pod-identity-associations/([a-z0-9-]+)", path)
    if association and method == "POST" and parsed.get("targetRoleArn") == "":
        forget_target(*association.groups())
    return ministack_eks(method, path, headers, body, query)


eks._handle_request_sync = handle
