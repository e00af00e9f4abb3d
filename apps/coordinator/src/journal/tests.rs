//! Tests of the fact log.
