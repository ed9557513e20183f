"""Debian's docker-registry with an empty store, on a port of its own choice."""

import json

from tests.lab.process import Children, printed

# The password is `secret`, by bcrypt, which is all that the registry takes.
LOGIN = "me:$2b$05$Xt9DA0iBksxDmo0.pq2are.yYFwpVDlbQB50mmx7BK9PPKrDDqt86\n"


def start(children: Children, login: bool = False) -> str:
    """Its address, as host:port."""
    folder = children.new_folder("registry-data")
    configuration = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "store")}},
        "http": {"addr": "127.0.0.1:0", "secret": "for one process"},
    }
    if login:
        (folder / "logins").write_text(LOGIN)
        configuration["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "logins")}}
    (folder / "registry.json").write_text(json.dumps(configuration))
    binary = printed("debian.sh", "docker-registry", "docker-registry")
    return children.start("registry", [binary, "serve", folder / "registry.json"]).logged(r"listening on ([\d.:]+)")
