//! The log: one line per event on standard error, written with one call, so that no thread waits for another's
//! line. What comes from outside cannot forge a second line. It shows events of this product's own code alone.

use crate::ending::one_line;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

/// The longest text of one field.
const FIELD_CHARACTERS_MAX: usize = 500;
/// The targets whose events are shown start with this.
const OWN_TARGETS: &str = "perennial";

/// Sends the events of this process to standard error, from now on.
///
/// # Errors
/// When standard error is closed, or a log was begun before.
pub fn begin(most: LevelFilter) -> Result<(), String> {
    let out = std::io::stderr().as_fd().try_clone_to_owned().map_err(|e| e.to_string())?;
    let log = StandardError { most, out: File::from(out) };
    tracing::subscriber::set_global_default(log).map_err(|e| e.to_string())
}

struct StandardError {
    most: LevelFilter,
    out: File,
}

impl Subscriber for StandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with(OWN_TARGETS) && *metadata.level() <= self.most
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most)
    }

    fn event(&self, event: &Event<'_>) {
        let line = line_of(event, unix_ms());
        // A log that nobody takes must not stop a signer.
        let _ = (&self.out).write_all(line.as_bytes());
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn line_of(event: &Event<'_>, unix_ms: u64) -> String {
    let mut words = Words::default();
    event.record(&mut words);
    let level = match *event.metadata().level() {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN ",
        Level::INFO => "INFO ",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    };
    format!("{} {level} {}{}\n", timestamp(unix_ms), words.message, words.fields)
}

#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Words {
    fn add(&mut self, field: &Field, text: &str) {
        let text = one_line(text, FIELD_CHARACTERS_MAX);
        if field.name() == "message" {
            self.message = text;
        } else {
            // Writing to a string does not fail.
            let _ = write!(self.fields, " {}={text}", field.name());
        }
    }
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// RFC 3339 in UTC with milliseconds. The days are counted in eras of 400 years that begin in March, as in
/// H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn timestamp(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1000, unix_ms % 1000);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_read_them() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(951_826_399_999), "2000-02-29T12:13:19.999Z");
        assert_eq!(timestamp(1_795_205_508_001), "2026-11-20T20:11:48.001Z");
        assert_eq!(timestamp(4_107_542_399_000), "2100-02-28T23:59:59.000Z");
        assert_eq!(timestamp(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }
}
