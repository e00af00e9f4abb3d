//! What both daemons are made of: who each is on the wire, whom it takes at the other end, and how their mail is cut
//! into HTTP bodies. Neither links the other; both link this, which decides nothing and holds no share.
//!
//! Reading order: [`identity`] (a key and its pin), [`tls`] (whoever shows a pin has its key), [`framing`] (items in a
//! body) on one [`lane`] or the other, [`priority`] (work that nobody waits for), [`hardening`] (nobody else reads its
//! files or its memory).

pub mod framing;
pub mod hardening;
pub mod identity;
pub mod lane;
pub mod priority;
pub mod tls;
