//! What a request says that counts here: which API it is for, who asks, and which question it is. What the head says is
//! read while it is there, what the body says when it is known.

use crate::config::{Config, HeaderMatch, Reduce};
use tidegate_host::client::Client;
use tidegate_host::exchange::Exchange;
use tidegate_host::scan::Scan;
use tidegate_policy::answer_cache::{Question, forbids_storing};
use tidegate_policy::fingerprint::Fingerprint;

/// Whose shape answers have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Api {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's completions.
    Completion,
    /// Anthropic's messages.
    Message,
    /// OpenAI's responses.
    Response,
    /// Any other.
    #[default]
    Other,
}

/// What one request says.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Whose shape the answer has.
    pub api: Api,
    /// Whether the whole body is known.
    pub is_read: bool,
    /// Whether the answer streams.
    pub stream: bool,
    /// How many completion tokens it asks for at most, if it says so.
    pub completion_tokens: Option<u64>,
    /// The model that is to answer, as far as it is known.
    pub model: Option<String>,
    /// Whether its path is refused while less is done.
    pub refused_path: bool,
    /// Whether it is never degraded.
    pub opted_out: bool,
    /// The canonical path, if that matters beyond this.
    pub path: Vec<u8>,
    /// Which question it is, if its answer may be kept.
    pub question: Option<Question>,
    pub(crate) head: Option<Head>,
}

/// What the head adds to the question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    asked: Fingerprint,
    client: Option<Fingerprint>,
}

impl Api {
    fn of(path: &[u8]) -> Self {
        match () {
            () if path.ends_with(b"/chat/completions") => Self::Chat,
            () if path.ends_with(b"/completions") => Self::Completion,
            () if path.ends_with(b"/messages") => Self::Message,
            () if path.ends_with(b"/responses") => Self::Response,
            () => Self::Other,
        }
    }
}

impl Asked {
    /// What the head says.
    pub fn of_head(exchange: &dyn Exchange, config: &Config) -> Self {
        let headers = exchange.request_headers();
        let path = headers.path();
        let refused =
            |reduce: &Reduce| reduce.refuse_paths.iter().any(|prefix| path.starts_with(prefix.as_slice()));
        let out = |(name, wanted): &HeaderMatch| {
            headers.all(name).any(|found| wanted.as_ref().is_none_or(|wanted| wanted == found))
        };
        Self {
            api: Api::of(&path),
            refused_path: config.reduce.as_ref().is_some_and(refused),
            opted_out: config.opt_out.iter().any(out),
            head: head(exchange, config),
            path: if config.timeouts.differ() { path.into_owned() } else { Vec::new() },
            ..Self::default()
        }
    }

    /// Adds what the body says.
    pub fn hear(&mut self, exchange: &dyn Exchange, scan: &Scan) {
        let facts = scan.facts();
        self.is_read = scan.is_complete();
        self.stream = facts.stream();
        self.completion_tokens = facts.completion_tokens();
        self.model = facts.model().map(|model| model.name.clone());
        let plain = scan.is_complete() && facts.is_object && facts.duplicate.is_none() && !facts.repeated_key;
        let head = self.head.filter(|_| plain);
        self.question = head.zip(scan.fingerprint()).map(|(head, body)| {
            let parts = [head.asked.place, head.asked.mark, body.place, body.mark].map(u64::to_le_bytes);
            let asked = exchange.fingerprinter().of(parts.iter().map(<[u8; 8]>::as_slice));
            Question { asked, client: head.client }
        });
    }
}

/// What the head adds to the question; `None` if its answer must not be kept. A client is known by its key, or, where no
/// keys are looked for, by its network: whose key is ambiguous or absent is told from nobody, so nothing is kept.
fn head(exchange: &dyn Exchange, config: &Config) -> Option<Head> {
    let cached = config.cached.as_ref()?;
    let headers = exchange.request_headers();
    if headers.method() != b"POST" || headers.all(b"cache-control").any(forbids_storing) {
        return None;
    }
    let prints = exchange.fingerprinter();
    let client = match config.clients.client(exchange) {
        _ if cached.shared => None,
        Client::Network(_) if config.clients.have_keys() => return None,
        Client::Unknown => return None,
        client => {
            let [kind, name] = client.parts();
            Some(prints.of([b"degradation".as_slice(), kind, name]))
        }
    };
    let mut asked = prints.start();
    for name in [b":authority".as_slice(), b":path", b"content-type"] {
        asked.add(headers.only(name).unwrap_or_default());
    }
    for name in &cached.vary {
        asked.add(name);
        headers.all(name).for_each(|value| asked.add(value));
        asked.add(&headers.all(name).count().to_le_bytes());
    }
    Some(Head { asked: asked.finish(), client })
}
