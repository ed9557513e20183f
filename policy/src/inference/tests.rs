#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::string_slice)]

use super::*;
use crate::fingerprint::{Fingerprint, Fingerprinter};
use crate::json::{Fault, Invalid};
use proptest::prelude::*;
use request::{request, wild};
use serde_json::Value as Json;

mod cost;
mod expected;
mod print;
mod request;
mod written;

/// Records what it receives.
#[derive(Default)]
struct Heard {
    text: String,
    texts: Vec<(String, String)>,
    roles: Vec<Option<Role>>,
    suspects: Vec<Suspect>,
    unheard: u64,
}

impl TextSink for Heard {
    fn piece(&mut self, _: &Place, text: &str) {
        assert!(!text.is_empty());
        self.text.push_str(text);
    }

    fn end_of_text(&mut self, place: &Place) {
        self.texts.push((place.to_string(), core::mem::take(&mut self.text)));
        self.roles.push(place.role());
    }

    fn suspect(&mut self, _: &Place, suspect: &Suspect) {
        self.suspects.push(suspect.clone());
    }

    fn sealed(&mut self, place: &Place, text: &str) {
        self.piece(place, text);
    }

    fn unheard(&mut self, _: &Place, characters: u64) {
        self.unheard += characters;
    }
}

fn scan_with(mut scanner: Scanner, body: &[u8], sizes: &[usize]) -> Result<(Scanner, Heard), Invalid> {
    let (mut heard, mut rest, mut sizes) = (Heard::default(), body, sizes.iter().cycle());
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        scanner.feed(chunk, &mut heard)?;
        rest = after;
    }
    scanner.finish(&mut heard)?;
    Ok((scanner, heard))
}

fn scan(body: &str) -> (Facts, Heard) {
    let (scanner, heard) = scan_with(Scanner::new(127), body.as_bytes(), &[usize::MAX]).unwrap();
    (scanner.facts().clone(), heard)
}

/// Compares one scan with a full parse.
fn agrees(body: &str, sizes: &[usize]) -> Result<(), TestCaseError> {
    let json: Json = serde_json::from_str(body).unwrap();
    let expected = expected::of(&json);
    let (scanner, mut heard) = scan_with(Scanner::new(127), body.as_bytes(), sizes).unwrap();
    let facts = scanner.facts();
    heard.texts.sort();
    prop_assert_eq!(&heard.texts, &expected.texts, "{}", body);
    let characters: Vec<_> = expected.texts.iter().map(|(_, text)| text.chars().count() as u64).collect();
    prop_assert_eq!(facts.characters, expected.characters, "{}", body);
    prop_assert_eq!(facts.characters, characters.iter().sum::<u64>() + heard.unheard - expected.sealed);
    prop_assert_eq!(facts.longest_message, expected.longest_message, "{}", body);
    prop_assert_eq!(facts.messages, expected.messages);
    prop_assert_eq!(facts.prompts, expected.prompts, "{}", body);
    prop_assert_eq!(facts.token_ids, expected.token_ids);
    prop_assert_eq!(facts.tools, expected.tools);
    prop_assert_eq!(facts.parts, expected.parts, "{}", body);
    prop_assert_eq!(facts.depth, expected.depth);
    prop_assert_eq!(facts.is_object, json.is_object());
    let model = json.get("model").and_then(Json::as_str);
    if !expected.members.iter().any(|(member, _, own)| *member == Member::Model && !own) {
        prop_assert_eq!(facts.model().map(|model| &*model.name), model);
    }
    prop_assert_eq!((facts.duplicate, facts.retyped), (None, None));
    prop_assert_eq!(facts.stops, expected.stops);
    prop_assert_eq!(facts.biases, expected.biases);
    prop_assert_eq!(facts.guided, expected.guided);
    let absent = |name| matches!(json.get(name), None | Some(Json::Null | Json::Bool(false)));
    for member in Member::ALL {
        let values: Vec<_> = expected.members.iter().filter(|(found, _, _)| *found == member).collect();
        let Some(seen) = facts.member(member) else {
            prop_assert!(values.is_empty(), "{} in {}", member.name(), body);
            continue;
        };
        if member.reading() == reading::Reading::Envelope {
            continue;
        }
        prop_assert_eq!(seen.is_one_of_many, values.len() > 1);
        let written = &body[seen.range.start as usize..seen.range.end as usize];
        let written: Json = serde_json::from_str(written).unwrap();
        prop_assert!(body[seen.key_at as usize..].starts_with('"'));
        prop_assert_eq!(seen.value, expected::value(member, &written));
        let is_it = |(_, value, own): &&(Member, Json, bool)| {
            *value == written && (*own || values.iter().all(|(_, _, own)| !own))
        };
        if member.reading() == reading::Reading::Number {
            let number = |value: &Json| value.as_u64().unwrap_or(0);
            let most = values.iter().map(|(_, value, _)| number(value)).max();
            prop_assert!(seen.value == Value::Other || Some(number(&written)) == most || written.is_string());
        } else {
            prop_assert!(values.iter().any(is_it), "{} in {}", member.name(), body);
        }
    }
    prop_assert_eq!(facts.stands_alone(), absent("background") && absent("conversation"));
    for suspect in &heard.suspects {
        let written = &body[suspect.range.start as usize..suspect.range.end as usize];
        let decoded: String = serde_json::from_str(&format!("\"{written}\"")).unwrap();
        prop_assert_eq!(decoded, suspect.character.to_string());
    }
    let mut suspects: Vec<_> = heard.suspects.iter().map(|suspect| suspect.character).collect();
    suspects.sort_unstable();
    prop_assert_eq!(suspects, expected.suspects);
    for class in Class::ALL {
        let first = heard.suspects.iter().find(|suspect| suspect.class == class);
        prop_assert_eq!(facts.first(class).map(|first| &first.suspect), first);
    }
    Ok(())
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(vec![1]), prop::collection::vec(1_usize..30, 1..9), Just(vec![usize::MAX])]
}

proptest! {
    #[test]
    fn the_facts_of_a_request_are_those_of_a_full_parse(
        json in request(), style: u64, sizes in sizes(),
    ) {
        agrees(&written::as_text(&json, style), &sizes)?;
    }

    #[test]
    fn the_facts_of_anything_are_those_of_a_full_parse(json in wild(), style: u64, sizes in sizes()) {
        agrees(&written::as_text(&json, style), &sizes)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn chunk_boundaries_in_a_request_make_no_difference(json in request(), style: u64) {
        let body = written::as_text(&json, style);
        for cut in 1..body.len().min(600) {
            agrees(&body, &[cut, usize::MAX])?;
        }
    }
}

/// `cargo test --release -p tidegate-policy -- --ignored millions`
#[test]
#[ignore = "minutes long"]
fn the_facts_of_millions_of_requests_are_those_of_a_full_parse() {
    let config = ProptestConfig { cases: 1_000_000, failure_persistence: None, ..ProptestConfig::default() };
    let cases = (prop_oneof![request(), wild()], any::<u64>(), sizes());
    proptest::test_runner::TestRunner::new(config)
        .run(&cases, |(json, style, sizes)| agrees(&written::as_text(&json, style), &sizes))
        .unwrap();
}

#[test]
fn a_text_is_named_as_the_api_names_it() {
    let (_, heard) = scan(
        r#"{"messages":[{"role":"system","content":"a"},{"content":[{"type":"text","text":"b"}],"role":"user"},
        {"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":"c"}]}]}],"prompt":["d","e"],
        "system":"f","tools":[{"function":{"name":"g"}}]}"#,
    );
    let texts: Vec<_> = heard.texts.iter().map(|(place, text)| (&**place, &**text)).collect();
    let expected = [
        ("messages[0].content", "a"),
        ("messages[1].content[0].text", "b"),
        ("messages[2].content[0].content[0].text", "c"),
        ("prompt[0]", "d"),
        ("prompt[1]", "e"),
        ("system", "f"),
        ("tools[0]", "function"),
        ("tools[0]", "name"),
        ("tools[0]", "g"),
    ];
    assert_eq!(texts, expected);
    let system = Some(Role::System);
    let roles = [system, None, Some(Role::User), None, None, system, None, None, None];
    assert_eq!(heard.roles, roles);
}

#[test]
fn a_place_contains_neither_a_clients_own_key_nor_the_key_before_it() {
    for key in ["secret", &"x".repeat(65)] {
        let (_, heard) = scan(&format!(r#"{{"messages":[{{"content":"a","{key}":"b","name":"c"}}]}}"#));
        let places: Vec<_> = heard.texts.iter().map(|(place, _)| &**place).collect();
        assert_eq!(places, ["messages[0].content", "messages[0]", "messages[0].name"]);
    }
}

#[test]
fn a_label_that_is_longer_than_any_real_one_is_a_text() {
    for key in ["role", "type", "id", "tool_call_id"] {
        for (length, characters) in [(64, 0), (65, 65), (5_000, 5_000)] {
            let body = format!(r#"{{"messages":[{{"{key}":"{}"}}]}}"#, "x".repeat(length));
            for size in [1, 50, usize::MAX] {
                let (scanner, heard) = scan_with(Scanner::new(9), body.as_bytes(), &[size]).unwrap();
                assert_eq!(scanner.facts().characters, characters);
                let texts = if characters == 0 { vec![] } else { vec!["x".repeat(length)] };
                assert_eq!(heard.texts.into_iter().map(|text| text.1).collect::<Vec<_>>(), texts);
            }
        }
    }
}

#[test]
fn a_role_and_a_type_are_read_without_their_hidden_characters() {
    let role = |role: &str| {
        let (_, heard) = scan(&format!(r#"{{"messages":[{{"role":"{role}","content":"a"}}]}}"#));
        *heard.roles.last().unwrap()
    };
    assert_eq!(role("us\u{200B}er"), Some(Role::User));
    assert_eq!(role(r"\u202esys\u2060tem"), Some(Role::System));
    assert_eq!(role("users"), Some(Role::Other));
    for nobody in [String::new(), "\u{200B}".to_owned(), format!("us{}er", "\u{200B}".repeat(70))] {
        assert_eq!(role(&nobody), None, "counts for every role");
    }
    let encoded = "iVBO+/9=".repeat(20);
    let body = format!(r#"{{"messages":[{{"content":[{{"type":"te\u200bxt","data":"{encoded}"}}]}}]}}"#);
    let (facts, _) = scan(&body);
    assert_eq!((facts.characters, facts.parts.text), (160, 1));
}

#[test]
fn data_are_text_unless_their_type_declares_them_encoded() {
    let characters = |source: &str| {
        scan(&format!(r#"{{"messages":[{{"content":[{{"type":"image","source":{{{source}}}}}]}}]}}"#))
            .0
            .characters
    };
    assert_eq!(characters(r#""type":"base64","media_type":"image/png","data":"iVBO""#), 0);
    assert_eq!(characters(r#""type":"text","media_type":"text/plain","data":"read""#), 4);
    assert_eq!(characters(r#""data":"iVBO","type":"base64""#), 4, "too short to look encoded");
    let long =
        |type_behind: &str| characters(&format!(r#""data":"{}"{type_behind}"#, "iVBO+/9=".repeat(1_000)));
    assert_eq!(long(r#","media_type":"image/png","type":"base64""#), 0);
    assert_eq!((long(""), long(r#","type":"text""#)), (0, 8_000));
    assert_eq!(characters(r#""type":"text","type":"base64","data":"iVBO""#), 4);
}

#[test]
fn a_long_model_name_is_truncated() {
    let model = |name: &str| scan(&format!(r#"{{"model":"{name}"}}"#)).0.model().cloned().unwrap();
    assert_eq!(model("gpt-4o"), Model { name: "gpt-4o".into(), is_cut: false });
    assert_eq!(model(&"x".repeat(256)), Model { name: "x".repeat(256), is_cut: false });
    assert_eq!(model(&"x".repeat(257)), Model { name: "x".repeat(256), is_cut: true });
    assert_eq!(model(&"語".repeat(90)), Model { name: "語".repeat(85), is_cut: true });
    assert_eq!(scan(r#"{"model":7}"#).0.model(), None);
}

#[test]
fn a_member_that_occurs_twice_is_flagged_and_its_last_value_counts() {
    let (facts, heard) = scan(r#"{"n":1,"messages":[{"content":"a"}],"n":2,"messages":[{"content":"b"}]}"#);
    let twice = |facts: &Facts| facts.duplicate.map(|place| place.to_string());
    assert_eq!(twice(&facts).as_deref(), Some("n"));
    assert_eq!(facts.member(Member::N).unwrap().value, Value::Integer(2));
    assert_eq!(heard.texts.len(), 2);
    assert_eq!(twice(&scan(r#"{"n":1,"\u006e":2}"#).0).as_deref(), Some("n"));
    assert_eq!(scan(r#"{"n":1,"messages":[{"n":1}]}"#).0.duplicate, None);
}

#[test]
fn a_key_that_occurs_twice_in_a_message_is_reported_with_its_place() {
    let place = |body: &str| scan(body).0.duplicate.map(|place| place.to_string());
    for (body, twice) in [
        (r#"{"messages":[{"role":"user","content":"a","role":"system"}]}"#, Some("messages[0].role")),
        (r#"{"messages":[{},{"content":"a","Content":"b"}]}"#, Some("messages[1].content")),
        (
            r#"{"messages":[{"content":[{"type":"text","type":"image"}]}]}"#,
            Some("messages[0].content[0].type"),
        ),
        (r#"{"options":{"num_predict":1,"num_predict":2}}"#, Some("options.num_predict")),
        (r#"{"requests":[{"params":{"n":1}},{"params":{"n":1,"N":2}}]}"#, Some("requests[1].params.n")),
        (r#"{"messages":[{"role":"user"},{"role":"user"}]}"#, None),
        (r#"{"messages":[{"mine":1,"mine":2}],"tools":[{"name":1,"name":2}]}"#, None),
        (r#"{"temperature":1,"temperature":2}"#, None),
    ] {
        assert_eq!(place(body).as_deref(), twice, "{body}");
    }
    let mut exact = Scanner::exact(9);
    exact.feed(br#"{"n":1,"N":2,"messages":[{"role":"a","Role":"b"}]}"#, &mut ()).unwrap();
    assert_eq!(exact.facts().duplicate, None);
}

#[test]
fn skipped_data_whose_type_is_revoked_later_are_reported() {
    let retyped = |source: &str| {
        let body = format!(r#"{{"messages":[{{"content":[{{"source":{{{source}}}}}]}}]}}"#);
        scan(&body).0.retyped.map(|place| place.to_string())
    };
    let place = Some("messages[0].content[0].source.type".to_owned());
    assert_eq!(retyped(r#""type":"base64","data":"ignore all of this","type":"text""#), place);
    assert_eq!(retyped(r#""type":"base64","type":"text","data":"ignore all of this""#), None);
    assert_eq!(retyped(r#""type":"base64","data":"ignore all of this""#), None);
}

#[test]
fn a_request_is_read_within_its_envelopes_and_its_places_name_them() {
    let (facts, heard) = scan(
        r#"{"requests":[{"params":{"messages":[{"role":"User","content":"a"}],"system":"b"}},{"params":{"messages":[]}}],
        "params":{"message":{"role":"USER","parts":[{"text":"c"}]}},"options":{"num_predict":7,"stop":["x","y"]},
        "tomorrow":{"ask":"d"},"metadata":{"note":"e"},"image_data":["data:image/png;base64,iVBO","https://a"]}"#,
    );
    let texts: Vec<_> = heard.texts.iter().map(|(place, text)| (&**place, &**text)).collect();
    let expected = [
        ("requests[0].params.messages[0].content", "a"),
        ("requests[0].params.system", "b"),
        ("params.message.parts[0].text", "c"),
        ("", "d"),
    ];
    assert_eq!(texts, expected);
    assert_eq!(heard.roles, [Some(Role::User), Some(Role::System), Some(Role::User), None]);
    assert_eq!((facts.messages, facts.stops, facts.guided, facts.parts.image), (1, 2, 2, 2));
    assert_eq!(facts.completion_tokens(), Some(7));
    assert!(facts.asks());
    assert!(!scan(r#"{"model":"m","tools":[],"messages":null,"tomorrow":"a"}"#).0.asks());
}

#[test]
fn the_requests_own_model_wins_over_an_envelopes() {
    let model = |body: &str| scan(body).0.model().map(|model| model.name.clone());
    for body in [
        r#"{"model":"own","params":{"model":"other"}}"#,
        r#"{"params":{"model":"other"},"model":"own"}"#,
        r#"{"params":{"model":"own"}}"#,
    ] {
        assert_eq!(model(body).as_deref(), Some("own"), "{body}");
    }
}

#[test]
fn a_number_is_read_as_servers_read_it() {
    let value = |number: &str| {
        scan(&format!(r#"{{"max_tokens":{number}}}"#)).0.member(Member::MaxTokens).unwrap().value
    };
    assert_eq!(value("18446744073709551615"), Value::Integer(u64::MAX));
    for (written, number) in
        [("100.0", 100), ("1e2", 100), ("\"5\"", 5), ("\" 7.0 \"", 7), ("-0", 0), ("1.5e1", 15)]
    {
        assert_eq!(value(written), Value::Integer(number), "{written}");
    }
    assert_eq!((value("-1"), value("-1.0")), (Value::Negative, Value::Negative));
    for other in ["18446744073709551616", "100.5", "\"\"", "\"many\"", "\"inf\"", "[5]", "1e999"] {
        assert_eq!(value(other), Value::Other, "{other}");
    }
    assert_eq!(value("null"), Value::Null);
    let padded = format!(r#"{{"max_tokens":"{}9"}}"#, "0".repeat(64));
    for size in [1, 14, 60, usize::MAX] {
        let (scanner, _) = scan_with(Scanner::new(9), padded.as_bytes(), &[size]).unwrap();
        assert_eq!(scanner.facts().member(Member::MaxTokens).unwrap().value, Value::Other, "in {size}");
    }
}

#[test]
fn characters_are_counted_alike_however_they_are_written() {
    for (text, characters) in
        [("a", 1_u64), ("語", 1), ("👩‍👩‍👧", 5), (r"\u8a9e", 1), (r"\ud83d\ude00", 1), (r"\n", 1)]
    {
        for times in [1_024 / characters as usize, 1_024 / characters as usize + 1] {
            let body = format!(r#"{{"prompt":"{}"}}"#, text.repeat(times));
            assert_eq!(scan(&body).0.characters, characters * times as u64, "{text}");
        }
    }
}

#[test]
fn a_body_that_is_no_request_has_no_facts() {
    for body in ["[]", "\"model\"", "7", "null", r#"[{"prompt":"a"}]"#] {
        let (facts, heard) = scan(body);
        assert!(!facts.is_object && facts.characters == 0 && heard.texts.is_empty());
    }
    let refused = scan_with(Scanner::new(4), b"", &[1]).err();
    assert_eq!(refused, Some(Invalid { at: 0, what: Fault::Incomplete }));
}

#[test]
fn a_scanner_is_small() {
    assert!(size_of::<Scanner>() <= 3 << 10, "{}", size_of::<Scanner>());
}

#[test]
fn encoded_data_are_no_text_up_to_their_first_other_character_and_signed_text_does_not_count() {
    let encoded = "iVBO+/9=".repeat(20);
    let heard = |part: &str, size: usize| {
        let body = format!(r#"{{"messages":[{{"content":[{part}]}}]}}"#);
        let (scanner, heard) = scan_with(Scanner::new(9), body.as_bytes(), &[size]).unwrap();
        let texts: String = heard.texts.into_iter().map(|(_, text)| text).collect();
        assert_eq!(scanner.facts().characters, texts.len() as u64 + heard.unheard);
        (scanner.facts().characters, texts)
    };
    for size in [1, 7, 64, 65, usize::MAX] {
        let (counted, texts) = heard(&format!(r#"{{"data":"{encoded}ignore\u0020this"}}"#), size);
        assert_eq!(counted, 171, "in chunks of {size}");
        assert!(texts.ends_with("ignore this"), "{texts} in chunks of {size}");
        for part in [
            format!(r#"{{"result":"{encoded}","type":"image_generation_call"}}"#),
            format!(r#"{{"type":"user","images":["{encoded}","{encoded}"]}}"#),
            format!(r#"{{"thought_signature":"{encoded} "}}"#),
            format!(r#"{{"data":"{encoded}\n{encoded}","type":"redacted_thinking"}}"#),
        ] {
            assert_eq!(heard(&part, size), (0, String::new()), "{part} in chunks of {size}");
        }
    }
    let thinking =
        |more: &str| scan(&format!(r#"{{"messages":[{{"content":[{{"thinking":"abc"{more}}}]}}]}}"#));
    for signature in ["c2ln".repeat(200), "c2ln".repeat(200) + "_"] {
        assert_eq!(thinking(&format!(r#","signature":"{signature}""#)).0.characters, 0);
    }
    let (facts, heard) = thinking(r#","signature":"c2lnbmVk""#);
    assert_eq!((facts.characters, heard.unheard, heard.texts.len()), (0, 0, 1));
    assert_eq!((thinking("").0.characters, thinking(r#","signature":"""#).0.characters), (3, 3));
    let signed = scan(r#"{"messages":[{"content":[{"thinking":"a\u200bb","signature":"c"}]}]}"#);
    assert!(signed.1.suspects.is_empty());
}

#[test]
fn the_position_of_a_thinking_budget_is_exact() {
    let body = r#"{"thinking":{"type":"enabled","budget_tokens": 1024.0 },"max_tokens":7}"#;
    for size in [1, 3, usize::MAX] {
        let (scanner, _) = scan_with(Scanner::new(9), body.as_bytes(), &[size]).unwrap();
        let budget = scanner.facts().thinking_budget.clone().unwrap();
        assert_eq!(budget.value, Value::Integer(1_024));
        assert_eq!(&body[budget.range.start as usize..budget.range.end as usize], "1024.0");
    }
    for other in [
        r#"{"thinking":{"a":{"budget_tokens":5}}}"#,
        r#"{"thinking":[{"budget_tokens":5}]}"#,
        r#"{"budget_tokens":5}"#,
    ] {
        assert_eq!(scan(other).0.thinking_budget, None, "{other}");
    }
}
