//! Points in time, as NumPy prints them.

/// A number of units since 1970 as ISO 8601, as far as the unit tells. A unit may have a factor, as
/// in `25s`. What is too far away is a number of units.
pub(super) fn date(number: i64, unit: &str) -> String {
    if number == i64::MIN {
        return "NaT".to_owned();
    }
    iso(number, unit).unwrap_or_else(|| format!("{number} {unit}"))
}

fn iso(number: i64, unit: &str) -> Option<String> {
    let digits = unit.len() - unit.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (factor, unit) = unit.split_at(digits);
    let factor = if factor.is_empty() {
        1
    } else {
        factor.parse().ok()?
    };
    let number = number.checked_mul(factor)?;
    let days = |days: i64| {
        let (year, month, day) = civil(days);
        format!("{year:04}-{month:02}-{day:02}")
    };
    Some(match unit {
        "Y" => format!("{:04}", number.checked_add(1970)?),
        "M" => {
            let (year, month) = (number.div_euclid(12) + 1970, number.rem_euclid(12) + 1);
            format!("{year:04}-{month:02}")
        }
        "W" => days(in_range(number.checked_mul(7)?)?),
        "D" => days(in_range(number)?),
        "h" => {
            let (day, hour) = (number.div_euclid(24), number.rem_euclid(24));
            format!("{}T{hour:02}", days(in_range(day)?))
        }
        "m" => {
            let (day, minute) = (number.div_euclid(1440), number.rem_euclid(1440));
            let day = days(in_range(day)?);
            format!("{day}T{:02}:{:02}", minute / 60, minute % 60)
        }
        _ => {
            let places = match unit {
                "s" => 0,
                "ms" => 3,
                "us" => 6,
                "ns" => 9,
                "ps" => 12,
                "fs" => 15,
                "as" => 18,
                _ => return None,
            };
            let per_second = 10_i64.pow(places);
            let (seconds, rest) = (number.div_euclid(per_second), number.rem_euclid(per_second));
            let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
            let day = days(in_range(day)?);
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            let time = format!("{day}T{hour:02}:{minute:02}:{second:02}");
            match places as usize {
                0 => time,
                places => format!("{time}.{rest:0places$}"),
            }
        }
    })
}

/// Days that the arithmetic below can count.
fn in_range(days: i64) -> Option<i64> {
    (days.unsigned_abs() < 1 << 40).then_some(days)
}

/// The year, the month and the day of a number of days since 1970-01-01, in the Gregorian calendar.
///
/// Years begin in March here, so that the day that some years have more comes last: the algorithm
/// of Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_numpy() {
        for (number, unit, expected) in [
            (0, "D", "1970-01-01"),
            (-1, "D", "1969-12-31"),
            (18_321, "D", "2020-02-29"),
            (-719_468, "D", "0000-03-01"),
            (50, "Y", "2020"),
            (-1, "M", "1969-12"),
            (1, "W", "1970-01-08"),
            (25, "h", "1970-01-02T01"),
            (-1, "m", "1969-12-31T23:59"),
            (1_577_836_800, "s", "2020-01-01T00:00:00"),
            (-1, "ms", "1969-12-31T23:59:59.999"),
            (
                1_577_836_800_000_000_001,
                "ns",
                "2020-01-01T00:00:00.000000001",
            ),
            (2, "25s", "1970-01-01T00:00:50"),
            (i64::MIN, "ns", "NaT"),
            (i64::MAX, "D", "9223372036854775807 D"),
            (i64::MAX, "W", "9223372036854775807 W"),
            (7, "generic", "7 generic"),
        ] {
            assert_eq!(date(number, unit), expected);
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = civil(-200_000);
        for days in -199_999..200_000 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > last {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
            assert_eq!(civil(days), (year, month, day));
        }
    }
}
