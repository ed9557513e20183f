//! The cases of Nicolas Seriot's JSONTestSuite and a few of our own: bodies that must be read, bodies that must be
//! refused, and bodies that the grammar leaves open.

use super::*;

/// The cases and their licence.
const SUITE: &str = include_str!("suite.txt");

/// Cases too long to be written out.
const LONG: [(&str, &str, usize); 2] = [
    ("n_structure_100000_opening_arrays", "[", 100_000),
    ("n_structure_open_array_object", "[{\"\":", 50_000),
];

/// Cases that the grammar leaves open and we read, with the reason. We refuse all others that it leaves open.
const READ: [(&str, &str); 11] = [
    ("i_number_double_huge_neg_exp", MAGNITUDE),
    ("i_number_huge_exp", MAGNITUDE),
    ("i_number_neg_int_huge_exp", MAGNITUDE),
    ("i_number_pos_double_huge_exp", MAGNITUDE),
    ("i_number_real_neg_overflow", MAGNITUDE),
    ("i_number_real_pos_overflow", MAGNITUDE),
    ("i_number_real_underflow", MAGNITUDE),
    ("i_number_too_big_neg_int", MAGNITUDE),
    ("i_number_too_big_pos_int", MAGNITUDE),
    ("i_number_very_big_negative_int", MAGNITUDE),
    ("i_structure_UTF-8_BOM_empty_object", "servers skip a byte-order mark before a body"),
];
const MAGNITUDE: &str = "the grammar sets no bound on a number, and none is computed";

/// Cases that the grammar leaves open and we refuse, by the fault that is found.
const REFUSED: [(Fault, &[&str]); 4] = [
    // A lone surrogate is no character: a text with one can be neither counted nor written in UTF-8.
    (
        Fault::LoneSurrogate,
        &[
            "i_object_key_lone_2nd_surrogate",
            "i_string_1st_surrogate_but_2nd_missing",
            "i_string_1st_valid_surrogate_2nd_invalid",
            "i_string_incomplete_surrogate_and_escape_valid",
            "i_string_incomplete_surrogate_pair",
            "i_string_incomplete_surrogates_escape_valid",
            "i_string_invalid_lonely_surrogate",
            "i_string_invalid_surrogate",
            "i_string_inverted_surrogates_U+1D11E",
            "i_string_lone_second_surrogate",
        ],
    ),
    // Invalid UTF-8 has more than one reading.
    (
        Fault::Utf8,
        &[
            "i_string_UTF-8_invalid_sequence",
            "i_string_UTF8_surrogate_U+D800",
            "i_string_invalid_utf-8",
            "i_string_iso_latin_1",
            "i_string_lone_utf8_continuation_byte",
            "i_string_not_in_unicode_range",
            "i_string_overlong_sequence_2_bytes",
            "i_string_overlong_sequence_6_bytes",
            "i_string_overlong_sequence_6_bytes_null",
            "i_string_truncated-utf-8",
        ],
    ),
    // RFC 8259, section 8.1: JSON is UTF-8.
    (
        Fault::Unexpected,
        &["i_string_UTF-16LE_with_BOM", "i_string_utf16BE_no_BOM", "i_string_utf16LE_no_BOM"],
    ),
    // The lexer keeps one bit for each of 128 containers at most; `serde_json` has the same limit.
    (Fault::TooDeep, &["i_structure_500_nested_arrays"]),
];

/// Cases that `serde_json` decides otherwise: it converts numbers to floats, and leaves a byte-order mark to its
/// callers.
const OTHERWISE: [&str; 6] = [
    "i_number_huge_exp",
    "i_number_neg_int_huge_exp",
    "i_number_pos_double_huge_exp",
    "i_number_real_neg_overflow",
    "i_number_real_pos_overflow",
    "i_structure_UTF-8_BOM_empty_object",
];

/// More bodies that are refused: keywords and numbers with a slip, other white space, two values, and invalid UTF-8.
const BESIDE: &[&[u8]] = &[
    b"nul",
    b"nulll",
    b"truee",
    b"-",
    b"01",
    b"1.",
    b"1e",
    b"1e+",
    b"{,}",
    b"{\"a\":1,\"b\"}",
    b"{\"a\":1 \"b\":2}",
    b"[\"\\u\"]",
    b"\xE2\x81\xA0[]",
    b"[\xC2\xA0]",
    b"\x0B[]",
    b"1 2",
    b"\"a\" \"b\"",
    b"{\"a\":1}{\"b\":2}",
    b"[1]//",
    b"// x\n{}",
    b"[\"\xE0\x80\xAF\"]",
    b"[\"\xF0\x80\x80\xAF\"]",
    b"[\"\xED\xBF\xBF\"]",
    b"[\"\xF4\x90\x80\x80\"]",
    b"[\"\xE6\"]",
    b"[1\xE5]",
    b"[\"a\xF0\x9F\x98\"]",
];

/// Returns the suite's cases with their names.
fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let lines = SUITE.lines().filter(|line| !line.starts_with('#'));
    let written = lines.map(|line| line.split_once(' ').unwrap_or((line, "")));
    let long = LONG.iter().map(|(name, part, times)| (*name, part.repeat(*times).into_bytes()));
    written.map(|(name, body)| (name, unescaped(body))).chain(long).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let (first, escapes) = text.split_once('\\').unwrap_or((text, ""));
    let mut bytes = first.as_bytes().to_vec();
    let mut rest = escapes;
    while !rest.is_empty() {
        let (byte, after) = match rest.split_at(1) {
            ("x", after) => {
                let (digits, after) = after.split_at(2);
                (u8::from_str_radix(digits, 16).unwrap(), after)
            }
            (escaped, after) => (escaped.as_bytes()[0], after),
        };
        let (plain, more) = after.split_once('\\').unwrap_or((after, ""));
        bytes.push(byte);
        bytes.extend(plain.bytes());
        rest = more;
    }
    bytes
}

/// Returns the lexer's result for `body`, which must not depend on the chunks.
fn result(name: &str, body: &[u8]) -> Result<(), Invalid> {
    let whole = lex_to(Lexer::DEEPEST, [body]);
    for size in [1, 2, 3, 7] {
        assert_eq!(lex_to(Lexer::DEEPEST, body.chunks(size)), whole, "{name} in parts of {size}");
    }
    whole
}

fn lex_to<'a>(max_depth: u8, chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Invalid> {
    let mut lexer = Lexer::new(max_depth);
    chunks.into_iter().try_for_each(|chunk| lexer.feed(chunk, &mut Deaf))?;
    lexer.finish(&mut Deaf)
}

#[test]
fn valid_cases_of_the_suite_are_read_and_invalid_ones_refused() {
    let cases = cases();
    let count = |verdict| cases.iter().filter(|(name, _)| name.starts_with(verdict)).count();
    assert_eq!((count("y_"), count("n_"), count("i_")), (95, 188, 35));
    for (name, body) in &cases {
        let result = result(name, body);
        match name.split_once('_').unwrap().0 {
            "y" => assert_eq!(result, Ok(()), "{name}"),
            "n" => assert!(result.is_err(), "{name}"),
            _ => {}
        }
    }
    for body in BESIDE {
        let name = String::from_utf8_lossy(body);
        assert!(result(&name, body).is_err() && serde_json::from_slice::<Value>(body).is_err(), "{name}");
    }
}

#[test]
fn open_cases_of_the_suite_are_read_or_refused_for_a_reason() {
    for (name, body) in cases().iter().filter(|(name, _)| name.starts_with("i_")) {
        let read = READ.iter().find(|(open, _)| open == name).map(|_| Ok(()));
        let refused = REFUSED.iter().find(|(_, names)| names.contains(name)).map(|(fault, _)| Err(*fault));
        let expected = [read, refused].into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(vec![result(name, body).map_err(|invalid| invalid.what)], expected, "{name}");
    }
}

#[test]
fn it_agrees_with_serde_json_on_the_suite_except_for_numbers_and_byte_order_marks() {
    let differs = |(name, body): &(&'static str, Vec<u8>)| {
        (serde_json::from_slice::<Value>(body).is_ok() != result(name, body).is_ok()).then_some(*name)
    };
    let mut different: Vec<_> = cases().iter().filter_map(differs).collect();
    different.sort_unstable();
    assert_eq!(different, OTHERWISE);
}
