//! Reads and writes dates of HTTP and JSON APIs as nanoseconds since 1970 in UTC. Only unambiguous dates are read: an
//! HTTP date in UTC, in any of the three forms that RFC 9110 requires recipients to accept, and a date-time of RFC
//! 3339. A leap second counts as the second after it, and a time after 2554 as the last one before.
//!
//! Source: RFC 9110 section 5.6.7; RFC 3339 section 5.6; days from Hinnant, "chrono-Compatible Low-Level Date
//! Algorithms".

use crate::timestamp::SECOND;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Parses `Wed, 21 Oct 2015 07:28:00 GMT`, `Wednesday, 21-Oct-15 07:28:00 GMT` or `Wed Oct 21 07:28:00 2015`.
pub fn http(text: &[u8]) -> Option<u64> {
    let parts = text.split(|byte| b" ,-".contains(byte)).filter(|part| !part.is_empty());
    let (mut month, mut time, mut numbers) = (None, None, [None; 2]);
    for (place, part) in parts.enumerate() {
        let free = numbers.iter_mut().find(|number| number.is_none());
        match part {
            _ if part.contains(&b':') && time.is_none() => time = Some(time_of_day(part)?),
            _ if part.first()?.is_ascii_digit() => *free? = Some((number(part)?, part.len())),
            _ if place == 0 || matches!(part, b"GMT" | b"UTC") => {}
            _ if month.is_none() => month = Some(MONTHS.iter().position(|name| *name == part)?),
            _ => return None,
        }
    }
    let [Some((day, _)), Some((year, digits))] = numbers else { return None };
    let year = match (digits, year) {
        (2, 70..) => year.saturating_add(1900),
        (2, _) => year.saturating_add(2000),
        _ => year,
    };
    Some(days(year, u64::try_from(month?).ok()?.saturating_add(1), day)?.saturating_add(time?))
}

/// Parses `2015-10-21T07:28:00Z`, with fractions of a second and any offset.
pub fn rfc3339(text: &[u8]) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let ([year, month, day], [b'T' | b't' | b' ', rest @ ..]) = (fields(date, b'-')?, rest) else {
        return None;
    };
    let zone = rest.iter().position(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-'))?;
    let (time, zone) = rest.split_at_checked(zone)?;
    let (whole, decimals) = match time.iter().position(|byte| *byte == b'.') {
        Some(point) => time.split_at_checked(point)?,
        None => (time, b".0".as_slice()),
    };
    let local = days(year, month, day)?.saturating_add(time_of_day(whole)?);
    let local = local.saturating_add(fraction(decimals.get(1..)?)?);
    match zone {
        b"Z" | b"z" => Some(local),
        [sign, offset @ ..] => {
            let [hours, minutes] = fields(offset, b':')?;
            let offset = hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(MINUTE)?;
            if *sign == b'+' { local.checked_sub(offset) } else { local.checked_add(offset) }
        }
        [] => None,
    }
}

/// Formats an instant by RFC 3339, in whole seconds rounded up: `2015-10-21T07:28:00Z`.
pub fn to_rfc3339(nanos: u64) -> String {
    let seconds = nanos.div_ceil(SECOND);
    let part = |unit: u64, of: u64| seconds.checked_div(unit).and_then(|n| n.checked_rem(of)).unwrap_or(0);
    let (year, month, day) = civil(part(86_400, u64::MAX));
    let (hours, minutes, rest) = (part(3_600, 24), part(60, 60), part(1, 60));
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{rest:02}Z")
}

fn time_of_day(text: &[u8]) -> Option<u64> {
    let [hours, minutes, seconds] = fields(text, b':')?;
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60)?.checked_add(seconds)?.checked_mul(SECOND)
}

/// Returns the digits after the decimal point as nanoseconds.
fn fraction(digits: &[u8]) -> Option<u64> {
    number(digits)?;
    digits
        .iter()
        .chain([b'0'; 9].iter())
        .take(9)
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit.checked_sub(b'0')?)))
}

fn fields<const N: usize>(text: &[u8], between: u8) -> Option<[u64; N]> {
    let mut parts = text.split(|byte| *byte == between);
    let mut fields = [0; N];
    for field in &mut fields {
        *field = number(parts.next().filter(|part| part.len() <= 4)?)?;
    }
    parts.next().is_none().then_some(fields)
}

fn number(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let digits = core::str::from_utf8(digits.get(..digits.len().min(18))?).ok()?;
    digits.parse().ok().filter(|_| all)
}

/// Returns the nanoseconds from 1970 to the beginning of a day, or `None` for a day that does not exist or lies
/// earlier.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let long = match month {
        2 => 28_u64.saturating_add(u64::from(leap)),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1970..=9999).contains(&year) || !(1..=long).contains(&day) {
        return None;
    }
    // Years are counted from March, so that a leap day is the last day of its year.
    let year = if month > 2 { year } else { year.checked_sub(1)? };
    let month = month.checked_add(9)?.checked_rem(12)?;
    let of_year = month.checked_mul(153)?.checked_add(2)?.checked_div(5)?.checked_add(day)?;
    let leap_days = (year / 4).checked_sub(year / 100)?.checked_add(year / 400)?;
    let since_year_0 = year.checked_mul(365)?.checked_add(leap_days)?.checked_add(of_year)?;
    Some(since_year_0.checked_sub(719_469)?.saturating_mul(DAY))
}

/// Returns year, month and day of a day since 1970: the inverse of [`days`].
fn civil(days: u64) -> (u64, u64, u64) {
    let since_year_0 = days.saturating_add(719_468);
    let era = since_year_0 / 146_097;
    let of_era = since_year_0 % 146_097;
    let leaps = (of_era / 1_460).saturating_add(of_era / 146_096).saturating_sub(of_era / 36_524);
    let of_era_year = of_era.saturating_sub(leaps) / 365;
    let before =
        of_era_year.saturating_mul(365).saturating_add(of_era_year / 4).saturating_sub(of_era_year / 100);
    let of_year = of_era.saturating_sub(before);
    let month_from_march = of_year.saturating_mul(5).saturating_add(2) / 153;
    let begin = month_from_march.saturating_mul(153).saturating_add(2) / 5;
    let day = of_year.saturating_sub(begin).saturating_add(1);
    let month = if month_from_march < 10 {
        month_from_march.saturating_add(3)
    } else {
        month_from_march.saturating_sub(9)
    };
    let year = of_era_year.saturating_add(era.saturating_mul(400)).saturating_add(u64::from(month <= 2));
    (year, month, day)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_formatted_date_is_parsed_as_the_same_second(seconds in 0..18_446_744_073_u64) {
            let written = to_rfc3339(seconds * SECOND);
            prop_assert_eq!(rfc3339(written.as_bytes()), Some(seconds * SECOND), "{}", written);
        }
    }

    const BACK_THEN: u64 = 1_445_412_480 * SECOND;

    #[test]
    fn the_three_forms_of_an_http_date_are_one_instant() {
        for text in [
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "Wednesday, 21-Oct-15 07:28:00 GMT",
            "Wed Oct 21 07:28:00 2015",
            "Wed, 21 Oct 2015 07:28:00 UTC",
        ] {
            assert_eq!(http(text.as_bytes()), Some(BACK_THEN), "{text}");
        }
        assert_eq!(http(b"Sun Nov  6 08:49:37 1994"), Some(784_111_777 * SECOND));
        assert_eq!(http(b"Sunday, 06-Nov-94 08:49:37 GMT"), Some(784_111_777 * SECOND));
    }

    #[test]
    fn rfc_3339_has_fractions_and_offsets() {
        for (text, nanos) in [
            ("2015-10-21T07:28:00Z", BACK_THEN),
            ("2015-10-21t07:28:00.25z", BACK_THEN + SECOND / 4),
            ("2015-10-21T09:28:00+02:00", BACK_THEN),
            ("2015-10-20 23:58:00.000000001-07:30", BACK_THEN + 1),
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400 * SECOND),
            ("2100-03-01T00:00:00Z", 4_107_542_400 * SECOND),
        ] {
            assert_eq!(rfc3339(text.as_bytes()), Some(nanos), "{text}");
        }
    }

    #[test]
    fn a_date_beyond_the_range_is_the_last_one() {
        assert!(http(b"Fri, 31 Dec 9999 23:59:59 GMT") > http(b"Fri, 31 Dec 2553 23:59:59 GMT"));
    }

    #[test]
    fn a_text_that_is_no_date_or_not_in_utc_is_refused() {
        for text in [
            "",
            "Wed",
            "Wed, 21 Oct 2015",
            "Wed, 21 Okt 2015 07:28:00 GMT",
            "Wed, 32 Oct 2015 07:28:00 GMT",
            "Wed, 21 Oct 2015 24:28:00 GMT",
            "Wed, 21 Oct 2015 07:28:00 PST",
            "Wed, 21 Oct 2015 07:28:00 +0200",
            "Wed, 21 Oct 1915 07:28:00 GMT",
            "Wed, 21 Oct 2015 07:28:00 GMT 1",
        ] {
            assert_eq!(http(text.as_bytes()), None, "{text}");
        }
        for text in [
            "",
            "2015-10-21",
            "2015-10-21T07:28:00",
            "2015-13-21T07:28:00Z",
            "2015-02-29T07:28:00Z",
            "2015-10-21T07:28Z",
            "2015-10-21T07:28:00.Z",
            "2015-10-21T07:28:00+2",
            "1915-10-21T07:28:00Z",
        ] {
            assert_eq!(rfc3339(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_day_is_one_day_after_the_previous(days_since in 1_u64..213_000) {
            // The expected day is counted month by month, from the first day that can be read.
            let mut left = days_since;
            let (mut year, mut month) = (1970, 1);
            loop {
                let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
                let long = match month { 2 => 28 + u64::from(leap), 4 | 6 | 9 | 11 => 30, _ => 31 };
                if left < long {
                    break;
                }
                left -= long;
                (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            }
            prop_assert_eq!(days(year, month, left + 1), Some(days_since * DAY));
        }

        #[test]
        fn no_bytes_panic(text: Vec<u8>, written in "[0-9TZ:. +-]{0,40}", words in "[A-Z][a-z]{2},? ?[0-9: -]{0,30}") {
            for text in [text.as_slice(), written.as_bytes(), words.as_bytes()] {
                let _ = (http(text), rfc3339(text));
            }
        }
    }
}
