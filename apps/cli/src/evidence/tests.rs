//! Bundles that were changed, and the page that says how they are written.

mod formats;
