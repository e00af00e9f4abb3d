//! The daemons and the operator's tool end to end, as processes on one machine. Everything is in `tests/`; the
//! binaries here are the shipped programs, built together with the tests that start them.
