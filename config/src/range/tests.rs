use super::*;
use crate::parse;
use proptest::prelude::*;

fn error<T: serde::de::DeserializeOwned>(text: &str) -> String {
    parse::<T>(text.as_bytes()).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_quantity_out_of_its_range_is_refused_with_what_was_found_and_what_is_accepted() {
    assert_eq!(error::<Count<1, 65_536>>("0"), "found 0, accepted is 1 to 65536");
    assert_eq!(error::<Count<1, ANY>>("0"), "found 0, accepted is at least 1");
    assert_eq!(error::<Count<1, ANY>>("4294967296"), "found 4294967296, accepted is 1 to 4294967295");
    assert_eq!(error::<Count<1, 8>>("4294967296"), "found 4294967296, accepted is 1 to 8");
    assert_eq!(error::<Span<1, DAY>>("\"25h\""), "found 90000s, accepted is 1ms to 24h");
    assert_eq!(error::<Span<SECOND, { 60 * SECOND }>>("\"0s\""), "found 0ns, accepted is 1s to 60s");
    assert_eq!(error::<Size<33_536, GIB>>("\"1KiB\""), "found 1024B, accepted is 33536B to 1GiB");
    assert_eq!(error::<ByteRate<1, ANY>>("\"0B/s\""), "found 0B/s, accepted is at least 1B/s");
    assert_eq!(error::<Fraction<1, ONE>>("2"), "found 2, accepted is above 0 to 1");
}

#[test]
fn an_invalid_quantity_is_refused_with_its_notation() {
    assert!(error::<Count<1, 8>>("\"20\"").contains("expected a whole number"));
    for text in ["10", "\"10 parsecs\"", "\"ms\"", "\"18446744073709551615h\""] {
        assert!(error::<Span<0, LONGEST>>(text).contains("250ms"), "{text}");
    }
    for text in ["-0.1", "0.1234567", "1e300", "1e-300", "\"20%\"", "null"] {
        assert!(parse::<Fraction<0, { 10 * ONE }>>(text.as_bytes()).is_err(), "{text}");
    }
    for text in ["20.5", "-1", "1e300", "\"20\"", "null"] {
        assert!(parse::<Count<0, ANY>>(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn whole_numbers_may_have_a_decimal_point() {
    for text in ["20", "20.0", "2e1"] {
        assert_eq!(parse::<Count<0, ANY>>(text.as_bytes()).unwrap().number(), 20);
    }
}

#[test]
fn a_quantity_with_a_default_reads_null_as_that() {
    type Timeout = Span<1, DAY, { 5 * SECOND }>;
    assert_eq!(parse::<Timeout>(b"null").unwrap().duration(), Duration::from_secs(5));
    assert_eq!(Timeout::default(), parse::<Timeout>(b"\"5s\"").unwrap());
}

proptest! {
    #[test]
    fn a_formatted_quantity_is_read_as_the_same(millis in 0..=LONGEST, bytes: u64, millionths in 0..=10 * ONE) {
        prop_assert_eq!(Millis::read(&Millis::text(millis)), Some(millis));
        prop_assert_eq!(Bytes::read(&Bytes::text(bytes)), Some(bytes));
        prop_assert_eq!(Millionths::read(&Millionths::text(millionths)), Some(millionths));
    }

    #[test]
    fn no_text_panics(text: String) {
        let _ = (Millis::read(&text), Bytes::read(&text), BytesPerSecond::read(&text), Millionths::read(&text));
    }
}
