//! How a person's approval is written in JSON.

use super::problem::{BAD_APPROVAL, Problem};
use base64ct::{Base64UrlUnpadded, Encoding};
use perennial_model::approval::passkey::Assertion;
use perennial_model::approval::{Approval, ApprovalSignature};
use perennial_model::encoding::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A person's approval.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalBody {
    /// Who approves, by the name in the governance document.
    pub person: String,
    /// The armoured SSH signature over the digest and a newline, as `ssh-keygen -Y sign -n perennial` writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// What a passkey answered to the digest as its challenge, instead of a signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passkey: Option<AssertionBody>,
}

/// A WebAuthn assertion, each part in base64url without padding, as browsers write it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssertionBody {
    /// The credential's id.
    pub credential: String,
    /// `authenticatorData`
    pub authenticator_data: String,
    /// `clientDataJSON`
    pub client_data: String,
    /// The signature.
    pub signature: String,
}

impl From<Approval> for ApprovalBody {
    fn from(approval: Approval) -> Self {
        let written = |bytes: &Bytes| Base64UrlUnpadded::encode_string(&bytes.0);
        let (signature, passkey) = match approval.signature {
            ApprovalSignature::Ssh(armoured) => (Some(armoured), None),
            ApprovalSignature::Passkey(assertion) => {
                let passkey = AssertionBody {
                    credential: written(&assertion.credential),
                    authenticator_data: written(&assertion.authenticator_data),
                    client_data: written(&assertion.client_data),
                    signature: written(&assertion.signature),
                };
                (None, Some(passkey))
            }
        };
        Self { person: approval.person.to_string(), signature, passkey }
    }
}

impl ApprovalBody {
    /// Reads it; whether it counts is others' to check.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(self) -> Result<Approval, Problem> {
        let bad = |detail: String| {
            Problem::of_caller(
                BAD_APPROVAL,
                detail,
                "name an approver of GET /v1/governance, with one signature",
            )
        };
        let person = self.person.parse().map_err(|error| bad(format!("{error}")))?;
        let read = |what: &str, text: &str| {
            let bytes = Base64UrlUnpadded::decode_vec(text);
            bytes.map(Bytes).map_err(|error| bad(format!("passkey.{what} is no base64url: {error}")))
        };
        let signature = match (self.signature, self.passkey) {
            (Some(armoured), None) => ApprovalSignature::Ssh(armoured),
            (None, Some(passkey)) => ApprovalSignature::Passkey(Box::new(Assertion {
                credential: read("credential", &passkey.credential)?,
                authenticator_data: read("authenticator_data", &passkey.authenticator_data)?,
                client_data: read("client_data", &passkey.client_data)?,
                signature: read("signature", &passkey.signature)?,
            })),
            _ => return Err(bad("an approval has either `signature` or `passkey`".into())),
        };
        Ok(Approval { person, signature })
    }
}
