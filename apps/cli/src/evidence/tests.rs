//! Bundles that were changed, and the page that says how they are written.

mod archives;
mod cast;
mod forged;
mod formats;
mod scene;
mod second;
mod tampering;
mod twist;
