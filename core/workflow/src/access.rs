//! Who may ask the coordinator for what: clients, what each may do, and whose wallets they see.
//!
//! This guards the coordinator's own interface, not the wallets: those are guarded by every signer, who checks plans,
//! approvals and transactions whoever handed them in. It knows no token, no certificate and no file.

use perennial_model::identity::ClientId;
use perennial_model::wallet::TenantId;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The most clients of one coordinator.
pub const CLIENTS_MAX: usize = 10_000;

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See wallets, ceremonies, plans, signers and governance.
    Read,
    /// Hand in plans, approvals, governance and reports of thefts, and have plans drafted.
    Submit,
    /// Have transactions signed.
    Sign,
    /// See everything, the ledger as well, and change nothing.
    Audit,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Submit, Self::Sign, Self::Audit];

    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Submit => "submit",
            Self::Sign => "sign",
            Self::Audit => "audit",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no scope: there are read, submit, sign and audit")]
pub struct NoScope(String);

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| NoScope(text.chars().take(40).collect()))
    }
}

/// Whose wallets a client deals with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Those of every tenant, also of tenants to come.
    EveryTenant,
    /// Those of these tenants. Of others it does not learn that they exist.
    Of(BTreeSet<TenantId>),
}

/// What a route of the interface asks of whoever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To see what there is.
    Read,
    /// To see what is told of all tenants together.
    Overview,
    /// To see the ledger.
    Audit,
    /// To hand in what people decide about wallets.
    Submit,
    /// To hand in what people decide about everything.
    Govern,
    /// To have something signed.
    Sign,
}

impl Need {
    /// The scopes of which any one will do.
    pub const fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Read | Self::Overview => &[Scope::Read, Scope::Audit],
            Self::Audit => &[Scope::Audit],
            Self::Submit | Self::Govern => &[Scope::Submit],
            Self::Sign => &[Scope::Sign],
        }
    }

    /// Whether it concerns every tenant, so that a client of some is refused.
    pub const fn is_about_all(self) -> bool {
        matches!(self, Self::Overview | Self::Govern)
    }
}

/// Somebody who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name.
    pub name: ClientId,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// Whose wallets it deals with.
    pub reach: Reach,
    /// From then on it may do nothing, in milliseconds since 1970.
    pub expires_ms: u64,
}

impl Client {
    /// Whether its time is over.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        now_ms >= self.expires_ms
    }

    /// Whether it may do what a route asks for, apart from whose wallets it is about.
    pub fn may(&self, need: Need) -> bool {
        need.scopes().iter().any(|scope| self.scopes.contains(scope))
            && (!need.is_about_all() || self.reach == Reach::EveryTenant)
    }

    /// Whether wallets of this tenant exist for it.
    pub fn sees(&self, tenant: &TenantId) -> bool {
        match &self.reach {
            Reach::EveryTenant => true,
            Reach::Of(tenants) => tenants.contains(tenant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(scopes: &[Scope], tenants: Option<&[&str]>) -> Client {
        let reach = match tenants {
            None => Reach::EveryTenant,
            Some(names) => Reach::Of(names.iter().map(|name| name.parse().expect("a name")).collect()),
        };
        let name = "treasury-service".parse().expect("a name");
        Client { name, scopes: scopes.iter().copied().collect(), reach, expires_ms: 1_000 }
    }

    const NEEDS: [Need; 6] =
        [Need::Read, Need::Overview, Need::Audit, Need::Submit, Need::Govern, Need::Sign];

    #[test]
    fn a_scope_allows_what_it_says_and_nothing_else() {
        let allowed = |scope| NEEDS.map(|need| client(&[scope], None).may(need));
        assert_eq!(allowed(Scope::Read), [true, true, false, false, false, false]);
        assert_eq!(allowed(Scope::Audit), [true, true, true, false, false, false]);
        assert_eq!(allowed(Scope::Submit), [false, false, false, true, true, false]);
        assert_eq!(allowed(Scope::Sign), [false, false, false, false, false, true]);
        assert_eq!(NEEDS.map(|need| client(&[], None).may(need)), [false; 6]);
        assert_eq!(NEEDS.map(|need| client(&Scope::ALL, None).may(need)), [true; 6]);
    }

    #[test]
    fn a_client_of_some_tenants_sees_no_other_and_decides_nothing_for_all() {
        let [acme, other] = ["acme", "other"].map(|name| name.parse().expect("a name"));
        let limited = client(&Scope::ALL, Some(&["acme"]));
        assert!(limited.sees(&acme) && !limited.sees(&other));
        assert_eq!(NEEDS.map(|need| limited.may(need)), [true, false, true, true, false, true]);
        let nobodys = client(&Scope::ALL, Some(&[]));
        assert!(!nobodys.sees(&acme));
        assert!(client(&[], None).sees(&other));
    }

    #[test]
    fn a_client_ends_at_its_time_and_not_before() {
        let client = client(&[], None);
        assert!(!client.is_expired(999) && client.is_expired(1_000));
    }

    #[test]
    fn scopes_are_read_as_they_are_written_and_others_are_refused() {
        for scope in Scope::ALL {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        assert!("Read".parse::<Scope>().is_err() && "".parse::<Scope>().is_err());
    }
}
