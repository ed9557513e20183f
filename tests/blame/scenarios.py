"""The scenarios: the plans of their clients, the server's behaviour meanwhile, and the bounds on the outcome."""

from dataclasses import dataclass, field

RATE = 8
MIN_REQUESTS = 20
OPEN_FOR = 5
OUTAGE = 5
TIMEOUT = '"timeout": "120s"'
HOLDS = '"hold_headers": true'
FLAG = "allow_on_headers_stop_iteration: true"


@dataclass
class Scenario:
    """`answered`: the part of the honest that must be, of those who ask `since` or later. `smaller`: how many of their
    answers may be made so. `reach`: how many chats may reach the server. `opens`: whether the breaker must."""

    name: str
    clients: list
    file: str = "envoy-composite.yaml"
    changes: dict = field(default_factory=dict)
    outage: float = 0
    hangs: bool = False
    since: float = 0
    answered: float | None = None
    smaller: int | None = None
    reach: int | None = None
    opens: bool | None = None


def honest(seconds, **more):
    return {"who": "honest", "rate": RATE, "seconds": seconds} | more


def attacker(seconds, rate, says="", **more):
    return {"who": "attacker", "rate": rate, "seconds": seconds, "says": says} | more


def scenarios(quick):
    return [*attacks(10 if quick else 20), *failures(quick), *recoveries(quick)]


def attacks(seconds):
    each = [
        ("10/s of one key get 500", attacker(seconds, 10, "status 500")),
        ("10/s of made-up keys get 500", attacker(seconds, 10, "status 500", made_up=True)),
        ("1 in 10 requests gets 500", attacker(seconds, 0.9, "status 500")),
        ("3/s of one key get 429", attacker(seconds, 3, "status 429")),
    ]
    kept = {"answered": 1, "smaller": 0, "opens": False}
    runs = [Scenario(name, [honest(seconds), attack], **kept) for name, attack in each]
    seldom = [honest(30 if seconds < 20 else 60, rate=0.1), attacker(30 if seconds < 20 else 60, 10, "status 500")]
    runs.append(Scenario("10/s get 500, honest ask seldom", seldom, answered=1))
    name, attack = each[0]
    return [*runs, Scenario(f"{name}, modules", [honest(seconds), attack], "envoy.yaml", **kept)]


def failures(quick):
    seconds = OPEN_FOR
    lists = attacker(seconds, 12, lists=True)
    slow = {TIMEOUT: f'{TIMEOUT}, "breaker": {{ "slow": {{ "after": "500ms", "ratio": 0.5 }} }}'}
    impatient = [honest(0, patience=1.5, together=10) | {"rate": 6 if quick else 12}]
    few = MIN_REQUESTS + 2
    return [
        Scenario("the whole cluster fails", [honest(seconds)], outage=60, reach=few, opens=True),
        Scenario("the same, modules", [honest(seconds)], "envoy.yaml", outage=60, reach=few, opens=True),
        Scenario("chats fail, lists get 401", [honest(seconds), lists], outage=60, reach=few, opens=True),
        Scenario("the server hangs, all leave", impatient, changes=slow, hangs=True, reach=30, opens=True),
    ]


def recoveries(quick):
    seconds = OUTAGE + OPEN_FOR + (15 if quick else 30)
    back = {"outage": OUTAGE, "since": OUTAGE + OPEN_FOR, "answered": 0.95}
    scaled = {TIMEOUT: '"timeout": "6s"'}
    unheld = {HOLDS: '"hold_headers": false', FLAG: FLAG.replace("true", "false")}
    times = 2 if quick else 6
    alone = [Scenario(f"outage, long jobs, {n + 1}", [honest(seconds, long=20)], **back) for n in range(times)]
    late = attacker(seconds, 9, "seconds 7")
    drips = attacker(seconds, 9, drips=12_000)
    return [
        *alone,
        Scenario("outage, 9/s outlast the timeout", [honest(seconds, long=3), late], changes=scaled, **back),
        Scenario("outage, 5/s take 25 s", [honest(seconds), attacker(seconds, 5, "seconds 25")], **back),
        Scenario("outage, 9/s drip", [honest(seconds), drips], changes=unheld, **back),
    ]
