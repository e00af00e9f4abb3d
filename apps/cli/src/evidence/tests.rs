//! Bundles that were changed, and the page that says how they are written.

mod cast;
mod formats;
mod scene;
mod tampering;
