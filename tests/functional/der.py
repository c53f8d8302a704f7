"""DER octet by octet, for requests that no library writes."""
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

EXTENSIONS, CHANGE_SUBJECT_NAME = "1.2.840.113549.1.9.14", "1.3.6.1.5.5.7.7.36"
ECDSA_SHA256 = "1.2.840.10045.4.3.2"


def tlv(tag, *parts):
    content = b"".join(parts)
    n = len(content)
    head = bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else bytes([0x82, n >> 8, n & 255])
    return bytes([tag]) + head + content


def oid(dotted):
    first, second, *rest = (int(part) for part in dotted.split("."))
    octets = bytes([40 * first + second])
    for arc in rest:
        piece = [arc & 127]
        while arc := arc >> 7:
            piece.insert(0, arc & 127 | 128)
        octets += bytes(piece)
    return tlv(6, octets)


def attribute(kind, value):
    return tlv(0x30, oid(kind), tlv(0x31, value))


def common_name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]).public_bytes()


def dns_names(*names):
    """GeneralNames, without the tag."""
    return b"".join(tlv(0x82, name.encode()) for name in names)


def san(*names):
    """The attribute that asks for these names."""
    return attribute(EXTENSIONS, tlv(0x30, tlv(0x30, oid("2.5.29.17"), tlv(4, tlv(0x30, dns_names(*names))))))


def change_subject_name(subject, *names):
    """RFC 6402 2.8."""
    return attribute(CHANGE_SUBJECT_NAME, tlv(0x30, subject, tlv(0x30, dns_names(*names))))


def signed_request(key, subject, *attributes):
    """PKCS#10 of a P-256 key with exactly these attributes."""
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    info = tlv(0x30, b"\x02\x01\x00", subject, spki, tlv(0xa0, *attributes))
    signature = key.sign(info, ec.ECDSA(hashes.SHA256()))
    return tlv(0x30, info, tlv(0x30, oid(ECDSA_SHA256)), tlv(3, b"\x00", signature))
