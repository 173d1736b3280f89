"""Certificates of the test cluster, by openssl: one CA, one leaf for each program."""
import os
import secrets

from lab.docker import run

DAYS = "30"


def _key(path):
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)


def authority(folder):
    os.makedirs(folder, mode=0o700, exist_ok=True)
    _key(f"{folder}/ca.key")
    run("openssl", "req", "-x509", "-new", "-key", f"{folder}/ca.key", "-days", DAYS, "-subj", "/CN=pgvigil-kube",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", f"{folder}/ca.crt")
    _key(f"{folder}/accounts.key")
    run("openssl", "pkey", "-in", f"{folder}/accounts.key", "-pubout", "-out", f"{folder}/accounts.pub")


def leaf(folder, name, common_name, group=None, names=()):
    """<folder>/<name>.crt and .key, good for both ends of a connection."""
    subject = (f"/O={group}" if group else "") + f"/CN={common_name}"
    extensions = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature",
                  "extendedKeyUsage=serverAuth,clientAuth", "subjectKeyIdentifier=hash",
                  "authorityKeyIdentifier=keyid"]
    if names:
        extensions.append("subjectAltName=" + ",".join(names))
    with open(f"{folder}/{name}.ext", "w", encoding="ascii") as out:
        out.write("\n".join(extensions) + "\n")
    _key(f"{folder}/{name}.key")
    request = run("openssl", "req", "-new", "-key", f"{folder}/{name}.key", "-subj", subject)
    run("openssl", "x509", "-req", "-CA", f"{folder}/ca.crt", "-CAkey", f"{folder}/ca.key", "-set_serial", f"0x{secrets.token_hex(16)}",
        "-days", DAYS, "-extfile", f"{folder}/{name}.ext", "-out", f"{folder}/{name}.crt", stdin=request + "\n")
    os.remove(f"{folder}/{name}.ext")
