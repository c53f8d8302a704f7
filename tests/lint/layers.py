#!/usr/bin/python3
"""Every #include of the tree against the layers: arrows go down only.

    layers.py [ROOT]

gateway → protocols → the core's doors → core/base; a module sees its door; the core sees the core. A header named
*_int.h belongs to its folder and to that folder's tests. Each library of somebody else has its place, and the doors
carry plain data: no header of another library can be reached from them.
"""
import os
import re
import sys

import source_tree

BASE = ("core/base/",)
MODULE_DOOR = ("core/module.h", "core/submit.h") + BASE
SUBMIT_DOOR = ("core/submit.h", "core/registry.h") + BASE
PROTOCOL_FACE = ("protocols/adapter.h", "protocols/http_msg.h", "protocols/http_octets.h", "protocols/ra.h",
                 "protocols/validator.h")
# What adapters share that is no face to anybody.
PROTOCOL_PARTS = ("protocols/attributes.h", "protocols/authorization.h", "protocols/bundle.h", "protocols/csr.h",
                  "protocols/limit.h", "protocols/memo.h", "protocols/signed_der.h")

# Folder → what its files may include, besides the folder itself. The longest matching folder counts. A name with a
# slash at its end is that folder and all below it.
LAYERS = {
    "core/base": (),
    "core/wire": BASE,
    "core/x509": ("core/module.h", "core/submit.h") + BASE,
    "core/signer": ("core/wire/",) + BASE,
    "core": ("core/",),
    "protocols": ("protocols/",) + SUBMIT_DOOR,
    "protocols/jose": BASE,
    "protocols/status": PROTOCOL_FACE + PROTOCOL_PARTS + SUBMIT_DOOR,
    "protocols/est": PROTOCOL_FACE + PROTOCOL_PARTS + SUBMIT_DOOR,
    "protocols/scep": PROTOCOL_FACE + PROTOCOL_PARTS + SUBMIT_DOOR,
    "protocols/mdm": PROTOCOL_FACE + PROTOCOL_PARTS + ("protocols/jose/",) + SUBMIT_DOOR,
    "protocols/acme": PROTOCOL_FACE + PROTOCOL_PARTS + ("protocols/jose/",) + SUBMIT_DOOR,
    "gateway/validator": ("protocols/validator.h", "protocols/csr.h", "protocols/jose/", "core/wire/") + BASE,
    "gateway/ctl": ("core/admin.h", "core/filter.h", "core/create.h", "core/restore.h", "core/wire/",
                    "gateway/fsck/fsck.h") + MODULE_DOOR,
    "gateway/fsck": (),
    # main.c and config.c join the option rows of the built-in modules and of the core, which hang on these doors.
    "gateway": PROTOCOL_FACE + ("gateway/validator/validator.h", "core/core.h", "core/policy.h", "core/exit.h",
                                 "core/signer/signer.h", "core/wire/control.h", "core/wire/link.h",
                                 "core/wire/verdict.h",
                                 "gateway/supervisor/supervisor.h") +
    SUBMIT_DOOR,
    "gateway/supervisor": ("gateway/config.h", "gateway/bind.h", "core/core.h", "core/wire/control.h",
                           "core/wire/verdict.h") + BASE,
}
# One folder a module; a module does not know its neighbours.
MODULES = {"policy": ("core/policy.h",) + MODULE_DOOR, "exit": ("core/exit.h",) + MODULE_DOOR}

# A folder of tests → whose tests they are: they include what those may, and their private headers.
TESTS = {
    "tests/unit/base": ("core/base",),
    "tests/unit/wire": ("core/wire",),
    "tests/unit/child.c": ("core/wire",),
    "tests/unit/child.h": ("core/wire",),
    "tests/unit/octets.h": ("protocols",),
    "tests/unit/core": ("core", "core/signer"),
    "tests/unit/signer": ("core", "core/signer"),
    "tests/unit/policy": ("policy/",),
    "tests/unit/exit": ("exit/",),
    "tests/unit/protocols": ("protocols", "protocols/acme", "protocols/est", "protocols/jose", "protocols/mdm",
                             "protocols/scep", "protocols/status"),
    "tests/unit/validator": ("gateway/validator",),
    "tests/unit/gateway": ("gateway",),
    "tests/unit/ctl": ("gateway/ctl",),
    "tests/unit/supervisor": ("gateway", "gateway/supervisor"),
    # The core without sockets, with its own adapter and modules: the unit tests of the core as a whole.
    "tests/scenarios": ("core", "core/signer", "policy/", "exit/"),
    # A fuzz target calls one parser of any layer.
    "tests/fuzz": ("core", "core/base", "core/signer", "core/wire", "gateway", "gateway/fsck", "gateway/validator",
                   "protocols", "protocols/acme", "protocols/est", "protocols/jose", "protocols/mdm", "protocols/scep",
                   "protocols/status", "policy/", "exit/"),
}

# What the build makes, and the folder it comes from.
GENERATED = {
    "admin.pb-c.h": "core/wire/admin.pb-c.h",
    "core.pb-c.h": "core/wire/core.pb-c.h",
    "signer.pb-c.h": "core/signer/signer.pb-c.h",
    "validator.pb-c.h": "gateway/validator/validator.pb-c.h",
}

# Beginning of a system header's name → where it may be included. Tests may include any.
LIBRARIES = {
    "cjson/": ("protocols/jose/", "protocols/acme/", "protocols/mdm/", "gateway/ctl/", "gateway/validator/"),
    "cmocka": (),
    "curl/": ("gateway/validator/",),
    "idn2": ("core/x509/", "protocols/acme/"),
    "libsmartcols": ("gateway/ctl/",),
    "nghttp2/": ("gateway/http2.c",),
    "openssl/ssl.h": ("core/wire/tls_relay.c", "gateway/tls"),
    "protobuf-c": ("core/wire/",),
    "seccomp": ("core/signer/",),
    "sqlite3": ("core/base/", "gateway/fsck/"),
    "unbound": ("gateway/validator/",),
    "uv": ("gateway/loop",),
    "yaml": ("core/base/",),
    "openssl/crypto.h": ("core/x509/", "core/signer/", "core/base/digest.c", "core/base/secret.c", "core/keys.c",
                         "core/create.c", "protocols/jose/", "protocols/acme/", "protocols/scep/", "gateway/tls"),
    "openssl/": ("gateway/fsck/", "core/x509/", "core/signer/", "core/base/digest.c", "core/base/rsa_key",
                 "core/base/secret.c", "core/wire/tls_relay.c", "protocols/jose/", "protocols/acme/", "protocols/est/keygen.c",
                 "protocols/est/envelope.c", "protocols/scep/", "gateway/ra_key.c", "gateway/tls"),
}
OWN_LIBRARY = re.compile(r"^(%s)" % "|".join(re.escape(name) for name in LIBRARIES))

DOORS = ("core/submit.h", "core/registry.h", "core/policy.h", "core/exit.h", "core/module.h", "core/admin.h",
         "core/core.h", "protocols/adapter.h", "protocols/validator.h")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def includes(text):
    """(line number, '<' or '"', name) of each #include that is no comment."""
    bare = source_tree.bare_c(text, keep_strings=True)
    for match in INCLUDE.finditer(bare):
        yield bare.count("\n", 0, match.start()) + 1, match.group(1), match.group(2)


def is_below(path, folder):
    return path == folder.rstrip("/") or path.startswith(folder.rstrip("/") + "/")


def own_folder(path):
    """The folder a file belongs to as a layer, and what it may include besides that folder."""
    parts = path.split("/")
    if parts[0] in MODULES:
        return "/".join(parts[:2]) if len(parts) > 2 else parts[0], MODULES[parts[0]]
    folder = max((f for f in LAYERS if is_below(path, f)), key=len, default=None)
    return folder, LAYERS.get(folder, ())


def listed(target, allowed):
    return any(is_below(target, a) if a.endswith("/") else target == a for a in allowed)


def may_include(path, target):
    if path.startswith("tests/"):
        return test_may_include(path, target)
    folder, allowed = own_folder(path)
    if folder is None:
        return False
    # What lies in the folder itself, but not in a layer below it that has a row of its own.
    if is_below(target, folder) and own_folder(target)[0] == folder:
        return True
    return listed(target, allowed)


def test_may_include(path, target):
    if target.startswith("tests/"):
        return True
    tested = next((TESTS[t] for t in TESTS if is_below(path, t)), ())
    for folder in tested:
        if folder.endswith("/"):
            if is_below(target, folder) or listed(target, MODULES[folder.rstrip("/")]):
                return True
        elif own_folder(target)[0] == folder or listed(target, LAYERS[folder]):
            return True
    return False


def may_include_private(path, target):
    """A *_int.h: from its folder, or from tests of that folder."""
    folder = os.path.dirname(target)
    if os.path.dirname(path) == folder:
        return True
    # The private header of the core's top folder joins all its parts.
    tested = next((TESTS[t] for t in TESTS if is_below(path, t) and t != "tests/fuzz"), ())
    return any(folder == f or f.endswith("/") and is_below(folder, f) for f in tested)


def check_system(path, name):
    if path.startswith("tests/"):
        return None
    prefix = max((p for p in LIBRARIES if name.startswith(p)), key=len, default=None)
    if prefix is None or any(path.startswith(place) for place in LIBRARIES[prefix]):
        return None
    places = ", ".join(LIBRARIES[prefix]) or "tests"
    return f"<{name}> belongs to {places}"


def check_own(root, path, name):
    target = GENERATED.get(name, name)
    if name.startswith(".") or "/../" in name:
        return f'"{name}": write it from the root'
    if name not in GENERATED and not os.path.isfile(os.path.join(root, name)):
        return f'"{name}": there is no such file below the root'
    if not may_include(path, target):
        return f'"{name}" is not below it'
    if target.endswith("_int.h") and not may_include_private(path, target):
        return f'"{name}" is private to {os.path.dirname(target)}'
    return None


def reached_libraries(root, header, seen):
    """Headers of other libraries that come with a header, and through which of ours: [(ours, theirs)]."""
    if header in seen or not os.path.isfile(os.path.join(root, header)):
        return []
    seen.add(header)
    found = []
    for _, kind, name in includes(source_tree.read(root, header) or ""):
        if kind == "<":
            found += [(header, name)] if OWN_LIBRARY.match(name) else []
        else:
            found += reached_libraries(root, name, seen)
    return found


def lint(root):
    findings = []
    for path in source_tree.c_files(root):
        for line, kind, name in includes(source_tree.read(root, path) or ""):
            wrong = check_system(path, name) if kind == "<" else check_own(root, path, name)
            if wrong:
                findings.append(f"{path}:{line}: {wrong}")
    for door in DOORS:
        for ours, theirs in reached_libraries(root, door, set()):
            findings.append(f"{door}: a door carries plain data, but <{theirs}> comes with {ours}")
    return findings


if __name__ == "__main__":
    source_tree.tell(lint(source_tree.root_of(sys.argv)), "includes break the layers")
