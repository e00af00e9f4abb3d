//! Times on the command line.

/// Reads a time in UTC, `2026-11-21`, `2026-11-21 10:30` or `2026-11-21T10:30:05Z`, or milliseconds since 1970.
pub fn read_time(text: &str) -> Result<u64, String> {
    if let Ok(at_ms) = text.parse() {
        return Ok(at_ms);
    }
    let wrong =
        || format!("{text:?} is no time: use 2026-11-21, 2026-11-21T10:30:05Z or milliseconds since 1970");
    let numbers = |part: &str, between: char| -> Option<Vec<u64>> {
        part.split(between).map(|number| number.parse().ok()).collect()
    };
    let (day, clock) = text.trim_end_matches('Z').split_once(['T', ' ']).unwrap_or((text, "0:0"));
    let (day, clock) = (numbers(day, '-').ok_or_else(wrong)?, numbers(clock, ':').ok_or_else(wrong)?);
    let &[year, month, day] = day.as_slice() else { return Err(wrong()) };
    let (hour, minute, second) = match *clock.as_slice() {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return Err(wrong()),
    };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let fits = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && hour < 24
        && minute < 60
        && second < 60;
    if !fits || day == 0 || day > lengths[month as usize - 1] {
        return Err(wrong());
    }
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let days_before = 365 * (year - 1970) + leap_days(year - 1) - leap_days(1969);
    let days = days_before + lengths[..month as usize - 1].iter().sum::<u64>() + day - 1;
    Ok((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rendering::date;

    #[test]
    fn a_time_is_read_as_it_is_shown_and_nonsense_is_refused() {
        for at_ms in [0, 68_169_600_000, 951_782_400_000, 1_795_209_300_000, 4_107_542_399_000] {
            let shown = date(at_ms).replace(" UTC", "");
            assert_eq!(read_time(&shown), Ok(at_ms), "{shown}");
            assert_eq!(read_time(&shown.replace(' ', "T")), Ok(at_ms), "{shown}");
        }
        assert_eq!(read_time("2026-11-21"), Ok(1_795_219_200_000));
        assert_eq!(read_time("1795219200000"), Ok(1_795_219_200_000));
        for bad in [
            "",
            "soon",
            "2026-13-01",
            "2026-02-29",
            "2026-11-21 24:00",
            "2026-11",
            "1969-01-01",
            "2026-11-21 x",
        ] {
            assert!(read_time(bad).is_err(), "{bad}");
        }
    }
}
