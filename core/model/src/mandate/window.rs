//! A time of the week, in UTC.

use minicbor::{Decode, Encode};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
const MINUTES_A_DAY: u16 = 24 * 60;
/// 1970 began on a Thursday, three days after a Monday.
const DAYS_SINCE_MONDAY: u64 = 3;
const WEEK_DAYS: u64 = 7;

/// On these days, from this minute on, for so long. It may run over midnight. Times are in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Window {
    /// The days on which it begins: bit 0 is Monday, bit 6 Sunday.
    #[n(0)]
    pub days: u8,
    /// The minute of the day at which it begins, from 0 to 1439.
    #[n(1)]
    pub from_minute: u16,
    /// How long it lasts, in minutes, from 1 to a week.
    #[n(2)]
    pub minutes: u16,
}

impl Window {
    /// Whether it is ever open, and its numbers are within their limits.
    pub fn is_sound(&self) -> bool {
        (1..1 << WEEK_DAYS).contains(&self.days)
            && self.from_minute < MINUTES_A_DAY
            && (1..=MINUTES_A_DAY * WEEK_DAYS as u16).contains(&self.minutes)
    }

    /// Whether one opening of it holds both times and all between, in milliseconds since 1970.
    pub fn covers(&self, from_ms: u64, to_ms: u64) -> bool {
        let today = from_ms / DAY_MS;
        (today.saturating_sub(WEEK_DAYS)..=today)
            .filter_map(|day| self.opening_on(day))
            .any(|(begins, ends)| begins <= from_ms && from_ms <= to_ms && to_ms <= ends)
    }

    /// The opening that holds `at_ms` or is the next one after it: when it begins and ends, in milliseconds since 1970.
    /// None if it never opens.
    pub fn next(&self, at_ms: u64) -> Option<(u64, u64)> {
        let today = at_ms / DAY_MS;
        (today.saturating_sub(WEEK_DAYS)..=today + WEEK_DAYS)
            .filter_map(|day| self.opening_on(day))
            .find(|(_, ends)| *ends > at_ms)
    }

    fn opening_on(&self, day: u64) -> Option<(u64, u64)> {
        let weekday = (day + DAYS_SINCE_MONDAY) % WEEK_DAYS;
        // Dates are anybody's to write: one at the end of time has no opening after it.
        let begins = day.saturating_mul(DAY_MS).saturating_add(u64::from(self.from_minute) * MINUTE_MS);
        let opens = self.days & (1 << weekday) != 0;
        opens.then_some((begins, begins.saturating_add(u64::from(self.minutes) * MINUTE_MS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21, a Saturday, 00:00 UTC.
    const SATURDAY_MS: u64 = 1_795_219_200_000;
    const HOUR_MS: u64 = 60 * MINUTE_MS;

    /// Sundays from 22:00 for six hours.
    const NIGHT: Window = Window { days: 1 << 6, from_minute: 22 * 60, minutes: 6 * 60 };

    #[test]
    fn a_window_runs_over_midnight_and_no_further() {
        let sunday = SATURDAY_MS + DAY_MS + 22 * HOUR_MS;
        assert!(NIGHT.covers(sunday, sunday + 6 * HOUR_MS));
        assert!(NIGHT.covers(sunday + 4 * HOUR_MS, sunday + 5 * HOUR_MS), "Monday, 02:00");
        assert!(!NIGHT.covers(sunday - 1, sunday));
        assert!(!NIGHT.covers(sunday, sunday + 6 * HOUR_MS + 1));
        assert!(!NIGHT.covers(sunday + 2, sunday + 1), "backwards");
        assert!(!NIGHT.covers(SATURDAY_MS, SATURDAY_MS));
    }

    #[test]
    fn the_next_opening_is_the_present_one_as_long_as_it_lasts() {
        let sunday = SATURDAY_MS + DAY_MS + 22 * HOUR_MS;
        let opening = (sunday, sunday + 6 * HOUR_MS);
        assert_eq!(NIGHT.next(SATURDAY_MS), Some(opening));
        assert_eq!(NIGHT.next(sunday + 5 * HOUR_MS), Some(opening));
        let week = 7 * DAY_MS;
        assert_eq!(NIGHT.next(opening.1), Some((opening.0 + week, opening.1 + week)));
        assert_eq!(Window { days: 0, ..NIGHT }.next(SATURDAY_MS), None);
    }

    #[test]
    fn no_date_is_too_late_to_be_asked_about() {
        assert_eq!(NIGHT.next(u64::MAX), None);
        assert!(!NIGHT.covers(u64::MAX, u64::MAX) && !NIGHT.covers(u64::MAX - 1, u64::MAX));
    }

    #[test]
    fn a_whole_week_is_always_open() {
        let always = Window { days: 0b111_1111, from_minute: 0, minutes: 7 * 24 * 60 };
        assert!(always.is_sound());
        assert!(always.covers(SATURDAY_MS, SATURDAY_MS + 6 * DAY_MS));
        let unsound = [
            Window { days: 0, ..NIGHT },
            Window { days: 128, ..NIGHT },
            Window { from_minute: 1440, ..NIGHT },
            Window { minutes: 0, ..NIGHT },
            Window { minutes: 10_081, ..NIGHT },
        ];
        assert!(unsound.iter().all(|window| !window.is_sound()));
    }
}
