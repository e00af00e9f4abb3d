//! Times as people write them: `7d`, `36h`, `sat,sun 22:00 6h`.

use crate::failure::Failure;
use perennial_model::mandate::Window;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTE_MS: u64 = 60_000;

/// A length of time, such as `90s`, `30m`, `12h` or `7d`, in milliseconds.
///
/// # Errors
/// When it is none.
pub fn length(text: &str) -> Result<u64, Failure> {
    let bad = || Failure::usage(format!("{text:?} is no length of time"), "write 90s, 30m, 12h or 7d");
    let (digits, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let number: u64 = digits.parse().map_err(|_| bad())?;
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => MINUTE_MS,
        "h" => 60 * MINUTE_MS,
        "d" => 24 * 60 * MINUTE_MS,
        _ => return Err(bad()),
    };
    number.checked_mul(unit_ms).ok_or_else(bad)
}

/// A length of time as it is written, exactly: `6d 7h 12m`.
pub fn written(length_ms: u64) -> String {
    let units =
        [(24 * 60 * MINUTE_MS, "d"), (60 * MINUTE_MS, "h"), (MINUTE_MS, "m"), (1_000, "s"), (1, "ms")];
    let mut rest_ms = length_ms;
    let mut parts = Vec::new();
    for (unit_ms, unit) in units {
        if rest_ms >= unit_ms {
            parts.push(format!("{}{unit}", rest_ms / unit_ms));
            rest_ms %= unit_ms;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// A time of the week in UTC, such as `sat,sun 22:00 6h`, `mon-fri 01:30 2h` or `daily 03:00 1h`.
///
/// # Errors
/// When it is none.
pub fn window(text: &str) -> Result<Window, Failure> {
    let bad = || {
        Failure::usage(
            format!("{text:?} is no window"),
            "write days, a time in UTC and a length, such as \"sat,sun 22:00 6h\" or \"mon-fri 01:30 2h\"",
        )
    };
    let [days, from, long] = text.split_whitespace().collect::<Vec<_>>()[..] else { return Err(bad()) };
    let (hour, minute) = from.split_once(':').ok_or_else(bad)?;
    let (hour, minute): (u16, u16) = (hour.parse().map_err(|_| bad())?, minute.parse().map_err(|_| bad())?);
    let minutes = length(long)? / MINUTE_MS;
    let window = Window {
        days: days_of(days).ok_or_else(bad)?,
        from_minute: hour.checked_mul(60).and_then(|minutes| minutes.checked_add(minute)).ok_or_else(bad)?,
        minutes: u16::try_from(minutes).map_err(|_| bad())?,
    };
    match window.is_sound() && minute < 60 {
        true => Ok(window),
        false => Err(bad()),
    }
}

/// A window in words.
pub fn window_text(window: &Window) -> String {
    let named: Vec<&str> =
        DAYS.iter().enumerate().filter(|(at, _)| window.days & (1 << at) != 0).map(|(_, day)| *day).collect();
    let days = if named.len() == DAYS.len() { "daily".to_owned() } else { named.join(",") };
    let (hour, minute) = (window.from_minute / 60, window.from_minute % 60);
    format!("{days} {hour:02}:{minute:02} UTC for {}", written(u64::from(window.minutes) * MINUTE_MS))
}

fn days_of(text: &str) -> Option<u8> {
    let number = |day: &str| DAYS.iter().position(|known| *known == day);
    if text == "daily" {
        return Some(0b111_1111);
    }
    text.split(',').try_fold(0, |days, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        let range = if first <= last {
            (first..=last).collect()
        } else {
            [(first..7).collect::<Vec<_>>(), (0..=last).collect()].concat()
        };
        Some(range.iter().fold(days, |days, day| days | 1 << day))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_written() {
        assert_eq!(length("7d").expect("a week"), 7 * 24 * 3_600_000);
        assert_eq!(length("90s").expect("seconds"), 90_000);
        for bad in ["", "7", "d", "7w", "-1d", "7 d", "99999999999999999999d", "1é"] {
            assert!(length(bad).is_err(), "{bad:?}");
        }
        assert_eq!(written(7 * 24 * 3_600_000), "7d");
        assert_eq!(written(9_072 * 60_000), "6d 7h 12m");
        assert_eq!((written(90_500).as_str(), written(0).as_str()), ("1m 30s 500ms", "0s"));
    }

    #[test]
    fn windows_are_read_and_written() {
        let night = window("sat,sun 22:00 6h").expect("a window");
        assert_eq!(night, Window { days: 0b110_0000, from_minute: 1320, minutes: 360 });
        assert_eq!(window_text(&night), "sat,sun 22:00 UTC for 6h");
        assert_eq!(window("mon-fri 01:30 2h").expect("a window").days, 0b001_1111);
        assert_eq!(window("sat-mon 01:30 2h").expect("a window").days, 0b110_0001);
        assert_eq!(window("daily 00:00 1h").expect("a window").days, 0b111_1111);
        for bad in [
            "",
            "sat",
            "sat 22:00",
            "sat 24:00 1h",
            "sat 22:60 1h",
            "xyz 22:00 1h",
            "sat 22:00 8d",
            "sat 22:00 30s",
        ] {
            assert!(window(bad).is_err(), "{bad:?}");
        }
    }
}
