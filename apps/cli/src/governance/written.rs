//! A governance as people write it: TOML, in which nothing is left to guess and every unknown key is refused.

use crate::failure::Failure;
use base64ct::{Base64UrlUnpadded, Encoding};
use perennial_model::encoding::{Bytes, Digest};
use perennial_model::governance::history::History;
use perennial_model::governance::{
    Approver, ApproverKey, Demand, Governance, Matter, Passkey, PasskeyKey, RelyingParty, Rule,
    SignerIdentity,
};
use perennial_model::identity::IdentityKey;
use perennial_model::wallet::Tier;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Who asks for this version; their own approval does not count.
    initiator: String,
    /// Whose wallets there may be.
    tenants: Vec<String>,
    /// Signers of the version before that are gone for good, with their shares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    written_off: Vec<String>,
    /// The key of the ledger's checkpoints, as `perennial governance show` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ledger_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    relying_party: Option<WrittenParty>,
    approver: Vec<WrittenApprover>,
    rule: Vec<WrittenRule>,
    signer: Vec<WrittenSigner>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenParty {
    id: String,
    origins: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenApprover {
    person: String,
    role: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tenants: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ssh_keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    passkey: Vec<WrittenPasskey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPasskey {
    /// In base64url without padding.
    credential: String,
    /// `es256` (33 bytes) or `ed25519` (32 bytes), in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    es256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ed25519: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    matter: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from_tier: Option<String>,
    /// How many of which role.
    demands: BTreeMap<String, u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSigner {
    signer: String,
    identity_key: String,
    transport_pin: String,
}

impl Written {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is not there, or not written as it should be.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|e| Failure::file("read", path, &e))?;
        toml::from_str(&text).map_err(|error| {
            Failure::usage(
                format!("{} is not understood: {error}", path.display()),
                "write it like `perennial governance show --toml`",
            )
        })
    }

    /// The version after the newest of a history, or the first one.
    ///
    /// # Errors
    /// What cannot be read, or which rule is broken.
    pub fn version(self, present: Option<&History>) -> Result<Governance, Failure> {
        let governance = Governance {
            version: present.map_or(1, |history| history.newest().version + 1),
            predecessor: present.map(History::newest_digest),
            initiator: read("initiator", &self.initiator)?,
            approvers: self.approver.into_iter().map(WrittenApprover::read).collect::<Result<_, _>>()?,
            rules: self.rule.into_iter().map(WrittenRule::read).collect::<Result<_, _>>()?,
            tenants: self.tenants.iter().map(|name| read("tenants", name)).collect::<Result<_, _>>()?,
            signers: self.signer.iter().map(WrittenSigner::read).collect::<Result<_, _>>()?,
            written_off: self
                .written_off
                .iter()
                .map(|name| read("written_off", name))
                .collect::<Result<_, _>>()?,
            relying_party: self
                .relying_party
                .map(|party| RelyingParty { id: party.id, origins: party.origins }),
            ledger_key: self.ledger_key,
        };
        governance.check().map_err(|unsound| {
            Failure::usage(format!("this is no sound governance: {unsound}"), "correct the file")
        })?;
        Ok(governance)
    }

    /// A version as people write it. What was written off is not taken over into the next.
    pub fn of(governance: &Governance) -> Self {
        let names = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<String>>();
        Self {
            initiator: governance.initiator.to_string(),
            tenants: names(&mut governance.tenants.iter().map(ToString::to_string)),
            written_off: Vec::new(),
            ledger_key: governance.ledger_key.clone(),
            relying_party: governance
                .relying_party
                .as_ref()
                .map(|party| WrittenParty { id: party.id.clone(), origins: party.origins.clone() }),
            approver: governance.approvers.iter().map(WrittenApprover::of).collect(),
            rule: governance.rules.iter().map(WrittenRule::of).collect(),
            signer: governance.signers.iter().map(WrittenSigner::of).collect(),
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// Never, in a program whose types can all be written.
    pub fn to_toml(&self) -> Result<String, Failure> {
        toml::to_string(self).map_err(|e| Failure::local(format!("cannot write TOML: {e}"), "report this"))
    }
}

impl WrittenApprover {
    fn read(self) -> Result<Approver, Failure> {
        let ssh = self.ssh_keys.into_iter().map(|line| Ok(ApproverKey::Ssh(line.trim().to_owned())));
        let keys = ssh.chain(self.passkey.iter().map(WrittenPasskey::read)).collect::<Result<_, _>>()?;
        Ok(Approver {
            person: read("approver.person", &self.person)?,
            role: read("approver.role", &self.role)?,
            keys,
            tenants: self
                .tenants
                .iter()
                .map(|name| read("approver.tenants", name))
                .collect::<Result<_, _>>()?,
        })
    }

    fn of(approver: &Approver) -> Self {
        let mut written = Self {
            person: approver.person.to_string(),
            role: approver.role.to_string(),
            tenants: approver.tenants.iter().map(ToString::to_string).collect(),
            ssh_keys: Vec::new(),
            passkey: Vec::new(),
        };
        for key in &approver.keys {
            match key {
                ApproverKey::Ssh(line) => written.ssh_keys.push(line.clone()),
                ApproverKey::Passkey(passkey) => written.passkey.push(WrittenPasskey::of(passkey)),
            }
        }
        written
    }
}

impl WrittenPasskey {
    fn read(&self) -> Result<ApproverKey, Failure> {
        let bad = |what: &str| {
            Failure::usage(
                format!("passkey {:?}: {what}", self.credential),
                "give `credential` in base64url and one of `es256` (66 digits) and `ed25519` (64 digits)",
            )
        };
        let credential = Base64UrlUnpadded::decode_vec(&self.credential);
        let credential = Bytes(credential.map_err(|_| bad("its credential is no base64url"))?);
        let key = match (&self.es256, &self.ed25519) {
            (Some(digits), None) => {
                PasskeyKey::Es256(Bytes(hex::decode(digits).map_err(|_| bad("its key is not hexadecimal"))?))
            }
            (None, Some(digits)) => {
                let mut bytes = [0; 32];
                hex::decode_to_slice(digits, &mut bytes).map_err(|_| bad("its key is not 64 digits"))?;
                PasskeyKey::Ed25519(bytes)
            }
            _ => return Err(bad("it has no key, or two")),
        };
        Ok(ApproverKey::Passkey(Passkey { credential, key }))
    }

    fn of(passkey: &Passkey) -> Self {
        let (es256, ed25519) = match &passkey.key {
            PasskeyKey::Es256(point) => (Some(hex::encode(&point.0)), None),
            PasskeyKey::Ed25519(bytes) => (None, Some(hex::encode(bytes))),
        };
        Self { credential: Base64UrlUnpadded::encode_string(&passkey.credential.0), es256, ed25519 }
    }
}

impl WrittenRule {
    fn read(self) -> Result<Rule, Failure> {
        let matter = Matter::ALL.into_iter().find(|matter| matter.to_string() == self.matter);
        let tier = match self.from_tier.as_deref() {
            None => Some(Tier::Low),
            Some(name) => Tier::ALL.into_iter().find(|tier| tier.to_string() == name),
        };
        let (Some(matter), Some(from_tier)) = (matter, tier) else {
            let matters: Vec<String> = Matter::ALL.iter().map(ToString::to_string).collect();
            return Err(Failure::usage(
                format!(
                    "there is no rule for {:?} from tier {:?}",
                    self.matter,
                    self.from_tier.as_deref().unwrap_or("low")
                ),
                format!("matters are {}; tiers are low, standard, high", matters.join(", ")),
            ));
        };
        let demand = |(role, approvals): (&String, &u8)| {
            Ok(Demand { role: read("rule.demands", role)?, approvals: *approvals })
        };
        let demands = self.demands.iter().map(demand).collect::<Result<_, Failure>>()?;
        Ok(Rule { matter, from_tier, demands })
    }

    fn of(rule: &Rule) -> Self {
        let demands = rule.demands.iter().map(|demand| (demand.role.to_string(), demand.approvals));
        Self {
            matter: rule.matter.to_string(),
            from_tier: (rule.from_tier != Tier::Low).then(|| rule.from_tier.to_string()),
            demands: demands.collect(),
        }
    }
}

impl WrittenSigner {
    fn read(&self) -> Result<SignerIdentity, Failure> {
        let bad = |what: &str| {
            Failure::usage(
                format!("signer {}: its {what} is not 64 hexadecimal digits", self.signer),
                "copy the line that `perennial-signer init` printed",
            )
        };
        let mut key = [0; 32];
        hex::decode_to_slice(&self.identity_key, &mut key).map_err(|_| bad("identity_key"))?;
        let transport_pin: Digest = self.transport_pin.parse().map_err(|_| bad("transport_pin"))?;
        let signer = read("signer", &self.signer)?;
        Ok(SignerIdentity { signer, key: IdentityKey::Ed25519(key), transport_pin })
    }

    fn of(known: &SignerIdentity) -> Self {
        Self {
            signer: known.signer.to_string(),
            identity_key: super::identity(&known.key),
            transport_pin: known.transport_pin.to_string(),
        }
    }
}

fn read<N: std::str::FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<N, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("{what}: {error}"), "correct the file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Kind;

    /// As people write it.
    const GOOD: &str = r#"
        initiator = "ira"
        tenants = ["acme"]
        [[approver]]
        person = "ann"
        role = "operator"
        ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c ann@desk"]
        [[rule]]
        matter = "create"
        demands = { operator = 1 }
        [[rule]]
        matter = "govern"
        demands = { operator = 1 }
        [[signer]]
        signer = "s1"
        identity_key = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
        transport_pin = "abababababababababababababababababababababababababababababababab"
    "#;

    /// What comes of a file with this text.
    fn version(text: &str) -> Result<Governance, Failure> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("governance.toml");
        std::fs::write(&path, text).expect("written");
        Written::read(&path)?.version(None)
    }

    #[test]
    fn a_governance_is_read_as_it_was_written() -> Result<(), Failure> {
        let governance = version(GOOD)?;
        assert_eq!((governance.version, governance.predecessor), (1, None));
        let again = version(&Written::of(&governance).to_toml()?)?;
        assert_eq!(again.digest(), governance.digest());
        Ok(())
    }

    #[test]
    fn a_governance_that_is_written_wrongly_is_refused_with_what_is_wrong() {
        let wrong: [(&str, &str, &str); 18] = [
            ("initiator = \"ira\"", "initiator = ira", "is not understood"),
            ("initiator = \"ira\"", "", "missing field `initiator`"),
            ("initiator = \"ira\"", "initiator = \"Ira\"", "is no name"),
            ("[[signer]]", "[[signers]]", "unknown field `signers`"),
            ("person = \"ann\"", "person = \"ann\"\nquorum = 1", "unknown field `quorum`"),
            ("matter = \"create\"", "matter = \"export\"", "there is no rule for \"export\""),
            ("matter = \"create\"", "matter = \"create\"\nfrom_tier = \"top\"", "from tier \"top\""),
            (
                "matter = \"create\"",
                "matter = \"govern\"",
                "the rule to govern from tier low is listed twice",
            ),
            ("matter = \"govern\"", "matter = \"refresh\"", "nobody could ever change it"),
            ("{ operator = 1 }", "{ auditor = 1 }", "takes auditor, a role that nobody has"),
            ("{ operator = 1 }", "{ operator = 2 }", "to create takes 2 of role operator, and 1 have it"),
            ("{ operator = 1 }", "{ operator = 0 }", "at least one approval"),
            ("{ operator = 1 }", "{ operator = 300 }", "expected u8"),
            ("{ operator = 1 }", "{ operator = -1 }", "expected u8"),
            ("AAAAC3NzaC1lZDI1NTE5AAAAII", "AAAAC3NzaC1lZDI1NTE5AAAAI", "ann has no usable key"),
            ("8a88e3dd", "8a88e3d", "its identity_key is not 64 hexadecimal digits"),
            (
                "transport_pin = \"ab",
                "transport_pin = \"xy",
                "its transport_pin is not 64 hexadecimal digits",
            ),
            ("tenants = [\"acme\"]", "tenants = []", "at least one"),
        ];
        for (from, to, expected) in wrong {
            assert!(GOOD.contains(from), "{from}");
            let failure = version(&GOOD.replacen(from, to, 1)).expect_err(to);
            assert_eq!(failure.kind, Kind::Usage, "{failure}");
            assert!(failure.what.contains(expected), "{to:?}: {failure}");
            assert!(!failure.action.is_empty(), "{failure}");
        }
    }
}
