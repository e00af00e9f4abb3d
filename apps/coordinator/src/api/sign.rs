//! `POST /v1/wallets/{id}/sign`.

use super::caller::By;
use super::input::{Body, Named};
use super::problem::{
    BAD_PATH, BAD_TRANSACTION, BUSY, Blame, CANNOT_WRITE, DENIED, KEY_REUSED, MALFORMED, NOT_OURS,
    OUT_OF_TIME, Problem, SIGNERS_FAILED, UNKNOWN_WALLET, UNSUPPORTED_TRANSACTION, WALLET_NOT_READY,
};
use super::{AtDesk, Desk};
use crate::gateway::{Answer, BadOrder, IdempotencyKey, Repeated, SignError, SigningOrder};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use perennial_chain::Error as ChainError;
use perennial_model::wallet::WalletId;
use serde::Deserialize;
use utoipa::ToSchema;

/// Hexadecimal digits of the largest transaction, and room for the rest.
const BODY_BYTES_MAX: usize = 384 << 10;

/// What to sign.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignBody {
    /// The unsigned transaction: on Ethereum `0x` and the hexadecimal digits of an EIP-1559 payload; on Bitcoin
    /// the base64 of a PSBT (version 0); on Solana the base64 of a message.
    pub transaction: String,
    /// Which derived key signs; by default that of the wallet's address, `m/0/0`, on Solana `m`.
    pub path: Option<String>,
}

/// Signs an unsigned transaction. Bare digests are never signed.
///
/// With an Idempotency-Key the same request gets the same answer for 24 hours, also after a crash of the
/// coordinator; a request that is under way is waited for. An error is no answer in this sense: it is tried anew.
#[utoipa::path(
    post,
    path = "/v1/wallets/{id}/sign",
    tag = "signing",
    params(
        ("id" = String, Path, description = "The wallet's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 128 visible ASCII characters"),
    ),
    request_body = SignBody,
    responses(
        (status = 200, description = "Signed, and entered in the ledger. With `Idempotency-Replayed: true` if it \
                                      was before", body = Answer),
        (status = "4XX", description = "The caller's, or denied by policy", body = Problem,
         content_type = "application/problem+json"),
        (status = "5XX", description = "The coordinator's or the signers'", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub async fn sign(
    State(desk): AtDesk,
    by: By,
    Named(wallet): Named<WalletId>,
    headers: HeaderMap,
    Body(body): Body<SignBody, BODY_BYTES_MAX>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let order = SigningOrder { wallet: wallet.clone(), transaction: body.transaction, path: body.path };
    let outcome = desk.gateway.sign(by.client(), order, key).await.map_err(|error| match error {
        SignError::UnknownWallet(_) => not_there(&desk, &by, &wallet),
        error => problem(error),
    });
    match &outcome {
        Ok(Answer { repeated: Repeated::Yes, .. }) => desk.figures.signing("repeated"),
        Ok(_) => desk.figures.signing("signed"),
        Err(problem) => desk.figures.signing(problem.name()),
    }
    outcome.map(respond)
}

/// The problem of a wallet that does not sign, as far as the caller may know of it.
pub fn not_there(desk: &Desk, by: &By, wallet: &WalletId) -> Problem {
    match desk.view.is_being_made_for(wallet) {
        Some(tenant) if by.sees(&tenant) => not_ready(wallet.as_str()),
        _ => unknown_wallet(wallet.as_str()),
    }
}

/// The problem of a wallet that is being made.
fn not_ready(wallet: &str) -> Problem {
    let detail = format!("{wallet} is being made: its first epoch is not yet kept by all of its signers");
    let action = "wait until its ceremony is over; GET /v1/ceremonies shows it";
    Problem::new(WALLET_NOT_READY, Blame::Coordinator, detail, action)
}

/// The problem of a wallet that does not exist.
pub fn unknown_wallet(wallet: &str) -> Problem {
    let detail = format!("there is no wallet {wallet}");
    Problem::of_caller(UNKNOWN_WALLET, detail, "GET /v1/wallets lists those that there are")
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let refuse = |detail: String| {
        Err(Problem::of_caller(MALFORMED, detail, "send one key per request, such as a UUID"))
    };
    if values.next().is_some() {
        return refuse("there are two Idempotency-Key headers".into());
    }
    match value.to_str().unwrap_or_default().parse() {
        Ok(key) => Ok(Some(key)),
        Err(error) => refuse(format!("{error}")),
    }
}

fn respond(answer: Answer) -> Response {
    match answer.repeated {
        Repeated::Yes => ([("idempotency-replayed", "true")], Json(answer)).into_response(),
        Repeated::No => Json(answer).into_response(),
    }
}

fn problem(error: SignError) -> Problem {
    let detail = error.to_string();
    let of_signers = |signers| Blame::Signers(signers);
    match error {
        SignError::UnknownWallet(wallet) => unknown_wallet(&wallet),
        SignError::BadOrder(BadOrder::Path(_)) => {
            Problem::of_caller(BAD_PATH, detail, "use a path such as m/0/0, or leave it out")
        }
        SignError::BadOrder(_) => {
            Problem::of_caller(BAD_TRANSACTION, detail, "write the transaction in that form")
        }
        SignError::BadTransaction(error) => bad_transaction(&error, detail),
        SignError::KeyReused(_) => Problem::of_caller(KEY_REUSED, detail, "send it again with a new key"),
        SignError::Busy(_) => Problem::new(BUSY, Blame::Coordinator, detail, "try again in a moment"),
        SignError::Denied { by, .. } => {
            let action = format!("ask whoever governs {by} what it allows; the same request is denied again");
            Problem::new(DENIED, Blame::Policy, detail, action)
        }
        SignError::Unreadable { by, .. } => {
            let action = format!("compare the versions of the coordinator and of {by}");
            Problem::new(SIGNERS_FAILED, of_signers(vec![by]), detail, action)
        }
        SignError::OutOfTime { signers, .. } => {
            let action = "GET /v1/signers shows who is connected; ask again with the same Idempotency-Key";
            Problem::new(OUT_OF_TIME, of_signers(signers), detail, action)
        }
        SignError::Withheld(error) | SignError::NotLookedUp(error) => {
            let action = "see to the disk of the coordinator, then ask again with the same Idempotency-Key";
            tracing::error!("{error}");
            Problem::new(CANNOT_WRITE, Blame::Coordinator, detail, action)
        }
        SignError::Bug(_) => Problem::bug(detail),
    }
}

fn bad_transaction(error: &ChainError, detail: String) -> Problem {
    match error {
        ChainError::Malformed { .. } | ChainError::TooLarge { .. } => {
            Problem::of_caller(BAD_TRANSACTION, detail, "build the transaction anew and send it whole")
        }
        ChainError::Unsupported { .. } => {
            Problem::of_caller(UNSUPPORTED_TRANSACTION, detail, "build the transaction in the supported form")
        }
        ChainError::NotOurs { .. } | ChainError::OtherChain { .. } => {
            Problem::of_caller(NOT_OURS, detail, "check wallet, path and transaction against each other")
        }
        ChainError::Path(_) => {
            Problem::of_caller(BAD_PATH, detail, "use a path such as m/0/0, or leave it out")
        }
        ChainError::SignatureCount { .. }
        | ChainError::BadSignature { .. }
        | ChainError::DamagedKey { .. } => Problem::bug(detail),
    }
}
