//! Signatures for tests, made with the model's own groups: Ed25519 (RFC 8032), SSHSIG (PROTOCOL.sshsig), BIP-340 and
//! ECDSA. Nothing here is secret or careful about time; the libraries that the model verifies with are the judges.

use perennial_model::dealing::hash_to_scalar;
use perennial_model::encoding::Digest;
use perennial_model::group::{Edwards25519, Group, Scalar, Secp256k1};
use perennial_model::signature::RawSignature;

type EdwardsScalar = <Edwards25519 as Group>::Scalar;
type SecpScalar = <Secp256k1 as Group>::Scalar;

/// An Ed25519 key that anybody can make from its name.
pub struct Ed25519 {
    secret: EdwardsScalar,
    pub public: [u8; 32],
}

impl Ed25519 {
    pub fn named(name: &str) -> Self {
        let secret = hash_to_scalar::<Edwards25519>("sample key", &[name.as_bytes()]);
        Self { secret, public: edwards_bytes(&secret) }
    }

    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let nonce = hash_to_scalar::<Edwards25519>("sample nonce", &[&self.public, message]);
        let commitment = edwards_bytes(&nonce);
        let challenge = EdwardsScalar::reduce(&sha512(&[&commitment, &self.public, message].concat()));
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&commitment);
        signature[32..].copy_from_slice(&(nonce + challenge * self.secret).encode());
        signature
    }

    /// One line of an OpenSSH public key file.
    pub fn ssh_line(&self) -> String {
        format!("ssh-ed25519 {}", base64(&self.ssh_blob()))
    }

    /// What `ssh-keygen -Y sign` writes.
    pub fn ssh_signature(&self, namespace: &str, message: &[u8]) -> String {
        let digest = Digest::of(message).0;
        let common = [field(namespace.as_bytes()), field(b""), field(b"sha256")].concat();
        let signed = [b"SSHSIG".to_vec(), common.clone(), field(&digest)].concat();
        let signature = [field(b"ssh-ed25519"), field(&self.sign(&signed))].concat();
        let version = 1u32.to_be_bytes().to_vec();
        let blob = [b"SSHSIG".to_vec(), version, field(&self.ssh_blob()), common, field(&signature)].concat();
        let text = base64(&blob);
        let lines: Vec<&str> =
            (0..text.len()).step_by(70).map(|at| &text[at..text.len().min(at + 70)]).collect();
        format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
    }

    fn ssh_blob(&self) -> Vec<u8> {
        [field(b"ssh-ed25519"), field(&self.public)].concat()
    }
}

fn edwards_bytes(scalar: &EdwardsScalar) -> [u8; 32] {
    let point = Edwards25519::encode(&Edwards25519::generate(scalar));
    point.as_bytes().try_into().expect("32 bytes")
}

fn field(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

fn base64(bytes: &[u8]) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let mut padded = [0; 4];
        padded[1..=chunk.len()].copy_from_slice(chunk);
        let number = u32::from_be_bytes(padded);
        let letter = |at: usize| char::from(letters[(number >> (18 - 6 * at)) as usize & 63]);
        (0..4).map(|at| if at <= chunk.len() { letter(at) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// A point's x coordinate, and whether its y is odd.
fn secp_point(scalar: &SecpScalar) -> ([u8; 32], bool) {
    let point = Secp256k1::encode(&Secp256k1::generate(scalar));
    (point.as_bytes()[1..].try_into().expect("33 bytes"), point.as_bytes()[0] == 3)
}

fn with_even_y(scalar: SecpScalar) -> (SecpScalar, [u8; 32]) {
    let (x, odd) = secp_point(&scalar);
    (if odd { SecpScalar::ZERO - scalar } else { scalar }, x)
}

/// A BIP-340 signature.
pub fn schnorr(secret: &[u8; 32], message: &[u8; 32]) -> RawSignature {
    let (secret, key) = with_even_y(<SecpScalar as Scalar>::decode(secret).expect("a scalar"));
    let (nonce, commitment) = with_even_y(hash_to_scalar::<Secp256k1>("sample nonce", &[&key, message]));
    let tag = Digest::of(b"BIP0340/challenge").0;
    let hash = Digest::of(&[tag, tag, commitment, key, *message].concat());
    let challenge = <SecpScalar as Scalar>::decode(&hash.0).expect("below the order");
    signature(commitment, nonce + challenge * secret, None)
}

/// An ECDSA signature with low `s`.
pub fn ecdsa(secret: &[u8; 32], message: &[u8; 32]) -> RawSignature {
    let secret = <SecpScalar as Scalar>::decode(secret).expect("a scalar");
    let nonce = hash_to_scalar::<Secp256k1>("sample nonce", &[message]);
    let (x, odd) = secp_point(&nonce);
    let r = <SecpScalar as Scalar>::decode(&x).expect("below the order");
    let z = <SecpScalar as Scalar>::decode(message).expect("below the order");
    let s = Scalar::invert(&nonce).expect("not zero") * (z + r * secret);
    let negated = SecpScalar::ZERO - s;
    let high = s.encode() > negated.encode();
    signature(x, if high { negated } else { s }, Some(u8::from(odd != high)))
}

fn signature(first: [u8; 32], second: SecpScalar, recovery_id: Option<u8>) -> RawSignature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&first);
    bytes[32..].copy_from_slice(&second.encode());
    RawSignature { bytes, recovery_id }
}

/// SHA-512 (FIPS 180-4).
fn sha512(message: &[u8]) -> [u8; 64] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 16).next_multiple_of(128) - 16, 0);
    padded.extend(((message.len() as u128) * 8).to_be_bytes());
    let mut state = START;
    for block in padded.chunks(128) {
        let mut words: Vec<u64> =
            block.chunks(8).map(|word| u64::from_be_bytes(word.try_into().expect("8 bytes"))).collect();
        for at in 16..80 {
            let (low, high) = (words[at - 15], words[at - 2]);
            let low = low.rotate_right(1) ^ low.rotate_right(8) ^ (low >> 7);
            let high = high.rotate_right(19) ^ high.rotate_right(61) ^ (high >> 6);
            let next = words[at - 16].wrapping_add(low).wrapping_add(words[at - 7]).wrapping_add(high);
            words.push(next);
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
        for (word, constant) in words.iter().zip(ROUNDS) {
            let sum = e.rotate_right(14) ^ e.rotate_right(18) ^ e.rotate_right(41);
            let choice = (e & f) ^ (!e & g);
            let first = h.wrapping_add(sum).wrapping_add(choice).wrapping_add(constant).wrapping_add(*word);
            let sum = a.rotate_right(28) ^ a.rotate_right(34) ^ a.rotate_right(39);
            let majority = (a & b) ^ (a & c) ^ (b & c);
            (h, g, f, e) = (g, f, e, d.wrapping_add(first));
            (d, c, b, a) = (c, b, a, first.wrapping_add(sum.wrapping_add(majority)));
        }
        for (held, new) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *held = held.wrapping_add(new);
        }
    }
    let mut digest = [0; 64];
    digest.chunks_mut(8).zip(state).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_be_bytes()));
    digest
}

/// The fractional parts of the square roots of the first 8 primes.
#[rustfmt::skip]
const START: [u64; 8] = [
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1,
    0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
];

/// The fractional parts of the cube roots of the first 80 primes.
#[rustfmt::skip]
const ROUNDS: [u64; 80] = [
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
];
