//! An answer that is watched: what it has shown and reported grows and nothing is taken back; how it was cut makes no
//! difference to streams and lines, nor how a stream is written; what it shows is the same whether its cost is read or not;
//! and its memory is that of one event.

use crate::cuts::cuts;
use tidegate_policy::answer::{First, Form, MAX_INSPECTED, Metering, Shown, Watch};

/// What watching takes, in bytes.
const MEMORY: u64 = 4 << 10;

/// Whatever the answer.
pub fn answer_watch(answer: &[u8]) {
    for form in [Form::Events, Form::Lines] {
        let whole = shown(form, [answer], false);
        for parts in cuts(answer) {
            assert_eq!(shown(form, parts.iter().copied(), false), whole, "{form:?} in {} parts", parts.len());
            let other = shown(form, parts.iter().copied(), true);
            // An error is looked for by its name, which no server writes in escapes.
            let is_plain = !answer.contains(&b'\\');
            assert!(
                other.error == whole.error || !is_plain && whole.error.is_some(),
                "{form:?}: another error"
            );
        }
        memory(form, &[answer]);
        memory(form, &answer.chunks(1).collect::<Vec<_>>());
        let reported = metered(form, [answer]);
        assert_eq!(reported.0, whole, "{form:?}: it shows something else if its cost is read");
        for parts in cuts(answer) {
            assert_eq!(metered(form, parts), reported, "{form:?}: its cost by its parts");
        }
    }
    let length = u32::try_from(answer.len()).unwrap_or(u32::MAX);
    if length < MAX_INSPECTED {
        let stream = rewritten(answer);
        let expected = shown(Form::Events, [answer], false);
        assert_eq!(shown(Form::Events, [stream.as_slice()], false), expected, "written in another way");
    }
    document(answer);
}

/// What an answer in parts shows in the end, nothing taken back on the way.
fn shown<'a>(form: Form, parts: impl IntoIterator<Item = &'a [u8]>, only_errors: bool) -> Shown {
    let mut watch = Watch::new(form);
    if only_errors {
        watch.only_errors();
    }
    let mut before = Shown::default();
    for part in parts {
        let after = watch.feed(part);
        grows(before, after);
        before = after;
    }
    let end = watch.end();
    grows(before, end);
    assert_eq!(watch.end(), end, "an end that is told twice");
    end
}

/// What an answer in parts shows and reports in the end, nothing taken back on the way.
fn metered<'a>(form: Form, parts: impl IntoIterator<Item = &'a [u8]>) -> (Shown, Metering) {
    let (mut watch, mut before) = (Watch::metered(form), Metering::default());
    for part in parts {
        watch.feed(part);
        not_less(before, watch.metering());
        before = watch.metering();
    }
    let shown = watch.end();
    not_less(before, watch.metering());
    (shown, watch.metering())
}

fn not_less(before: Metering, after: Metering) {
    let Metering { usage, finish, content_events, characters } = before;
    let reported = usage.is_reported() <= after.usage.is_reported()
        && usage.cache_written() <= after.usage.cache_written();
    let others = finish <= after.finish && content_events <= after.content_events;
    assert!(reported && others && characters <= after.characters, "{before:?} becomes {after:?}");
}

fn grows(before: Shown, after: Shown) {
    let Shown { first, error, content, finished, cut, done, malformed } = before;
    assert!(first.is_none() || after.first == first, "{before:?} becomes {after:?}");
    assert!(error.is_none() || after.error == error, "{before:?} becomes {after:?}");
    let flags = [content, finished, cut, done, malformed];
    let later = [after.content, after.finished, after.cut, after.done, after.malformed];
    assert!(flags.iter().zip(later).all(|(before, after)| !before || after), "{before:?} becomes {after:?}");
    assert!(!matches!(after.first, Some(First::Error(_))) || after.error.is_some(), "{after:?}");
}

fn memory(form: Form, parts: &[&[u8]]) {
    for watch in [Watch::new, Watch::metered] {
        let measured = allocation_counter::measure(|| {
            let mut watch = watch(form);
            for part in parts {
                watch.feed(part);
            }
            watch.end();
        });
        assert!(measured.bytes_max <= MEMORY, "{form:?} takes {} bytes", measured.bytes_max);
    }
}

/// A document may be judged by how it comes, but never to be empty, nor to be an error where it is none.
fn document(answer: &[u8]) {
    let is_blank = answer.iter().all(u8::is_ascii_whitespace);
    let mut errors = Vec::new();
    let whole: Vec<&[u8]> = vec![answer];
    for parts in cuts(answer).iter().chain([&whole]) {
        let end = shown(Form::Document, parts.iter().copied(), false);
        assert_eq!(end.first.is_none(), is_blank, "{end:?}");
        errors.push(end.error);
        assert_eq!(metered(Form::Document, parts.iter().copied()).0, end, "its cost is read");
        memory(Form::Document, parts);
    }
    let byte_by_byte = errors[0];
    for error in errors {
        assert!(error.is_none() || error == byte_by_byte, "an error only in some parts: {error:?}");
    }
}

/// A stream of the same events with none of what does not count, by the letter of the standard.
///
/// Source: WHATWG HTML, section 9.2.6.
fn rewritten(stream: &[u8]) -> Vec<u8> {
    let (mut lines, mut line, mut rest) = (Vec::new(), Vec::new(), stream);
    while let Some((byte, more)) = rest.split_first() {
        rest = more;
        match byte {
            b'\r' => {
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
                lines.push(core::mem::take(&mut line));
            }
            b'\n' => lines.push(core::mem::take(&mut line)),
            other => line.push(*other),
        }
    }
    let (mut new, mut event) = (Vec::new(), Vec::<u8>::new());
    for line in lines {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        if line.is_empty() {
            new.extend(core::mem::take(&mut event));
            new.extend(b"\r\n");
        } else if name == b"data" {
            let value = line.get(name.len() + 1..).unwrap_or_default();
            event.extend(b"data: ");
            event.extend(value.strip_prefix(b" ").unwrap_or(value));
            event.extend(b"\r\n: a comment\r\nid: 7\r\n");
        }
    }
    new
}
