//! The coordinator: plans, relays, stores and shows. It holds no share and no right.

pub mod identity;
pub mod mailbox;
pub mod priority;
