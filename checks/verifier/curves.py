"""Curves and signatures (docs/formats.md, sections 3 and 7): strict Ed25519, ECDSA and BIP-340 on
secp256k1. Nothing here is secret, so nothing takes care of timing."""
import functools

from cryptography.hazmat.primitives.asymmetric import ed25519

from encoding import need, sha


class Secp256k1:
    """Points as (X, Y, Z); complete addition by Renes, Costello and Batina, algorithm 7."""
    p, order, endian, zero = 2**256 - 2**32 - 977, 2**256 - 0x14551231950B75FC4402DA1732FC9BEBF, \
        "big", (0, 1, 0)

    def add(self, a, b):
        """The sum of two points."""
        (x, y, z), (u, v, w), p = a, b, self.p
        xx, yy, zz = x * u, y * v, 21 * z * w
        xy, yz, xz = (x + y) * (u + v) - xx - yy, y * w + z * v, 21 * (x * w + z * u)
        high, low, xx = yy + zz, yy - zz, 3 * xx
        return (xy * low - yz * xz) % p, (low * high + xz * xx) % p, (high * yz + xx * xy) % p

    def point(self, data, prime=True):
        """The point of 33 bytes (SEC 1, compressed)."""
        x = int.from_bytes(data[1:], "big")
        y = pow(x**3 + 7, (self.p + 1) // 4, self.p)
        need(len(data) == 33 and data[0] in (2, 3) and x < self.p
             and (y * y - x**3 - 7) % self.p == 0, "a point of secp256k1")
        return x, y if y % 2 == data[0] % 2 else self.p - y, 1


class Edwards25519:
    """Points as (X, Y, Z); the complete addition of RFC 8032 without the fourth coordinate."""
    p, order, endian, zero = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493, \
        "little", (0, 1, 1)
    d = -121665 * pow(121666, -1, p) % p

    def add(self, a, b):
        """The sum of two points."""
        (x, y, z), (u, v, w), p = a, b, self.p
        zz, xx, yy = z * w % p, x * u % p, y * v % p
        mixed, square = self.d * xx * yy % p, zz * zz
        low, high = square - mixed, square + mixed
        return (zz * low * ((x + y) * (u + v) - xx - yy) % p, zz * high * (yy + xx) % p,
                low * high % p)

    def point(self, data, prime=True):
        """The point of 32 bytes (RFC 8032), in the subgroup of prime order if that is asked."""
        number, p = int.from_bytes(data, "little"), self.p
        sign, y = number >> 255, number % 2**255
        square = (y * y - 1) * pow(self.d * y * y + 1, -1, p) % p
        x = pow(square, (p + 3) // 8, p)
        x = x if x * x % p == square else x * pow(2, (p - 1) // 4, p) % p
        need(len(data) == 32 and y < p and x * x % p == square and (x or not sign), "a point")
        point = (x if x % 2 == sign else p - x, y, 1)
        need(not prime or same(self, multiply(self, self.order, point), self.zero), "no torsion")
        return point


@functools.lru_cache(1 << 16)
def multiply(group, number, point):
    """The point times the number, bit by bit."""
    result = group.zero
    for bit in bin(number)[2:]:
        result = group.add(result, result)
        result = group.add(result, point) if bit == "1" else result
    return result


def combine(group, terms):
    """The sum of numbers times points."""
    return functools.reduce(group.add, (multiply(group, n % group.order, p) for n, p in terms))


def same(group, a, b):
    """Whether two triples are one point."""
    return not any((a[i] * b[2] - b[i] * a[2]) % group.p for i in (0, 1))


@functools.lru_cache(1 << 16)
def check_key(data):
    """A canonical point of edwards25519 that is not of small order."""
    point = EDWARDS.point(data, prime=False)
    need(not same(EDWARDS, multiply(EDWARDS, 8, point), EDWARDS.zero), "no small order")


@functools.lru_cache(1 << 16)
def check_ed25519(key, message, signature):
    """Strict Ed25519 (section 3); the equation itself is OpenSSL's, which has no cofactor."""
    check_key(key)
    check_key(signature[:32])
    need(int.from_bytes(signature[32:], "little") < EDWARDS.order, "s below the order")
    ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, message)


def check_probe(chain, key, message, signature):
    """A probe signature under the raw key (section 7): Ed25519, ECDSA by recovery, BIP-340."""
    need(len(signature.bytes) == 64 and (signature.recovery is None) == (chain != 0), "a probe")
    if chain == 4:
        return check_ed25519(key, message, signature.bytes)
    n, base, point = SECP.order, BASES[SECP], SECP.point(key)
    r, s = (int.from_bytes(signature.bytes[at:at + 32], "big") for at in (0, 32))
    if chain == 0:
        need(0 < r < n and 0 < s <= n // 2 and signature.recovery < 4, "r and s, low s")
        x = r + n * (signature.recovery >> 1)
        nonce = SECP.point(bytes([2 + signature.recovery % 2]) + x.to_bytes(32, "big"))
        inverse, z = pow(r, -1, n), int.from_bytes(message, "big")
        need(same(SECP, combine(SECP, [(s * inverse, nonce), (-z * inverse, base)]), point),
             "an ECDSA signature by the wallet's key")
        return None
    tag = sha(b"BIP0340/challenge")
    e = int.from_bytes(sha(tag, tag, signature.bytes[:32], key[1:], message), "big")
    even, nonce = (SECP.point(b"\2" + x) for x in (key[1:], signature.bytes[:32]))
    need(s < n and same(SECP, combine(SECP, [(s, base), (-e, even)]), nonce), "BIP-340")


SECP, EDWARDS = Secp256k1(), Edwards25519()
BASES = {SECP: SECP.point(bytes.fromhex(
    "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")),
    EDWARDS: EDWARDS.point((4 * pow(5, -1, EDWARDS.p) % EDWARDS.p).to_bytes(32, "little"))}
