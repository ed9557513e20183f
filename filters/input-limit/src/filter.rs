//! One request against the limits. The body is checked while it streams in and refused at the first chunk that breaks
//! a rule; no byte of it is passed on before all of it was read. The messages of a gRPC call are passed on as they
//! arrive, if that media type passes: each is judged by its own length.

use crate::answer::{Refusal, refusal};
use crate::config::{Config, Limits, place_of};
use crate::rewrite::{CHANGED, Mended, Tokens, mend};
use std::rc::Rc;
use tidegate_config::ConfigError;
use tidegate_host::exchange::{Exchange, Filter, Flow, Stage, Stream};
use tidegate_host::plugin::Plugin;
use tidegate_host::protocol::Protocol;
use tidegate_host::scan::{Scan, ScanNeeds};
use tidegate_host::{counters, rule_counters};
use tidegate_policy::api::Api;
use tidegate_policy::clamp::Inconsistent;
use tidegate_policy::grpc::Messages;
use tidegate_policy::inference::{Member, Place, Suspect, TextSink, Value};
use tidegate_policy::json::{Fault, Invalid};
use tidegate_policy::prompt::{Breach, Heard, Listener, PromptLimits, Rule, work};

counters! {
    /// What is counted.
    pub enum Counter in "tidegate.input_limit." {
        /// Requests that no rule refused.
        Admitted = "admitted",
        /// Of these, requests from which characters were taken out.
        Stripped = "stripped",
        /// Of these, requests whose number of completion tokens was changed.
        Clamped = "clamped",
    }
}

rule_counters! {
    /// What is counted of each rule: a key of the configuration, a class of `characters`, `content_type`, `content_encoding`,
    /// `json`, or `deny.<name>`.
    pub enum RuleCounter in "tidegate.input_limit." of "rule" behind Counter {
        /// Requests that the rule refused.
        Rejected = "rejected",
        /// Requests that the rule would have refused or changed, were it not in shadow mode.
        Shadowed = "shadowed",
    }
}

/// Limits on what a request asks of a model.
#[derive(Debug)]
pub struct InputLimit {
    pub(crate) config: Rc<Config>,
}

/// One request.
#[derive(Debug)]
pub struct InputLimitStream {
    config: Rc<Config>,
    state: State,
    route: usize,
    arrived: u64,
    messages: Option<Messages>,
    heard: Heard,
    changed: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The texts of the body are checked.
    Read,
    /// Only the size of the body is checked.
    Measured,
    /// Only the size of the body is checked, and it is passed on as it arrives.
    Streamed,
    /// The decision has been made.
    Decided,
}

impl Plugin for InputLimit {
    const ROOT_ID: &'static str = "input-limit";

    fn configure(document: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self { config: Rc::new(Config::read(document)?) })
    }

    fn metrics(&self) -> Vec<String> {
        let labels: Vec<_> = (0..self.config.rules()).map(|place| self.config.label(place)).collect();
        RuleCounter::names(&labels)
    }
}

impl Filter for InputLimit {
    type Stream = InputLimitStream;
    const STAGE: Stage = Stage::Judge;
    const SCANS: bool = true;
    const HEARS_TEXT: bool = true;
    const REWRITES: bool = true;

    fn scan(&self) -> Option<ScanNeeds> {
        let Config { max_depth, exact_names, .. } = *self.config;
        Some(ScanNeeds { max_depth, exact_names, fingerprint: false })
    }

    fn stream(&self) -> InputLimitStream {
        InputLimitStream {
            config: Rc::clone(&self.config),
            state: State::Decided,
            route: usize::MAX,
            arrived: 0,
            messages: None,
            heard: Heard::default(),
            changed: String::new(),
        }
    }
}

impl Stream for InputLimitStream {
    fn on_request_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        if !exchange.request_goes_on() {
            return Flow::Continue;
        }
        let config = Rc::clone(&self.config);
        self.route = config.place(exchange);
        let limits = config.at(self.route);
        self.state = if limits.prompt.is_some() { State::Read } else { State::Streamed };
        let headers = exchange.request_headers();
        let length = headers.only(b"content-length").map(|value| number(value).unwrap_or(u64::MAX));
        if length.is_some_and(|length| length > limits.body)
            && let Some(reply) = self.refuse(exchange, Refusal::Body(limits.body))
        {
            return reply;
        }
        if self.state == State::Read {
            if headers.is_coded() {
                self.state = State::Measured;
                if let Some(reply) = self.refuse(exchange, Refusal::ContentEncoding) {
                    return reply;
                }
            }
            let types = headers.all(b"content-type").map(|value| Media::of(value, &config)).max();
            match types.unwrap_or(Media::Json) {
                Media::Json => {}
                Media::Upload if is_upload(headers.only(b":path").unwrap_or_default()) => {
                    self.state = State::Streamed;
                }
                Media::Passed => {
                    self.state = State::Measured;
                    self.messages = (exchange.protocol() == Protocol::Grpc).then(Messages::default);
                }
                Media::Upload | Media::Unknown => {
                    self.state = State::Measured;
                    if let Some(reply) = self.refuse(exchange, Refusal::ContentType) {
                        return reply;
                    }
                }
            }
        }
        if self.state == State::Streamed {
            return Flow::Continue;
        }
        if config.hold_headers && self.messages.is_none() {
            return Flow::Hold;
        }
        if length.is_some() && self.state == State::Read && limits.may_rewrite() {
            exchange.remove_request_header("content-length");
        }
        Flow::Continue
    }

    fn on_request_body(&mut self, exchange: &dyn Exchange, arrived: usize) -> Flow {
        if self.state == State::Decided {
            return Flow::Keep;
        }
        let config = Rc::clone(&self.config);
        let limits = config.at(self.route);
        if let Some(messages) = &mut self.messages {
            let largest = messages.feed(exchange.arrived());
            let refused = (largest > limits.body).then(|| self.refuse(exchange, Refusal::Body(limits.body)));
            return refused.flatten().unwrap_or(Flow::Keep);
        }
        let before = self.arrived;
        self.arrived = before.saturating_add(u64::try_from(arrived).unwrap_or(u64::MAX));
        if before <= limits.body
            && self.arrived > limits.body
            && let Some(reply) = self.refuse(exchange, Refusal::Body(limits.body))
        {
            return reply;
        }
        if self.state == State::Streamed {
            return Flow::Keep;
        }
        let reply = self.judge(exchange, limits);
        reply.unwrap_or(Flow::Hold)
    }

    fn on_request_end(&mut self, exchange: &dyn Exchange) -> Flow {
        if self.state == State::Decided {
            return Flow::Continue;
        }
        let config = Rc::clone(&self.config);
        let limits = config.at(self.route);
        if self.state == State::Read {
            let refused = self.finish(exchange, limits);
            if let Some(reply) = refused {
                return reply;
            }
        }
        self.state = State::Decided;
        Counter::Admitted.count(exchange, 1);
        Flow::Continue
    }

    fn on_response_headers(&mut self, exchange: &dyn Exchange) -> Flow {
        if !self.changed.is_empty() {
            exchange.set_response_header(CHANGED, &self.changed);
        }
        Flow::Keep
    }

    fn wants_scan(&self) -> bool {
        self.state == State::Read
    }

    fn text_sink(&mut self) -> Option<&mut dyn TextSink> {
        (self.state == State::Read).then_some(self)
    }
}

impl InputLimitStream {
    /// Checks the chunk that has arrived. Returns the response if that refuses the request.
    fn judge(&mut self, exchange: &dyn Exchange, limits: &Limits) -> Option<Flow> {
        let prompt = limits.prompt.as_ref().filter(|_| self.state == State::Read && self.arrived > 0)?;
        let scan = exchange.scan()?;
        let breaches = self.heard.breaches(prompt, scan.facts());
        for breach in &breaches {
            let clamped = limits.clamp
                && matches!(breach.rule, Rule::CompletionTokens(member) if is_number(scan, member));
            if !clamped && let Some(reply) = self.refuse(exchange, Refusal::Prompt(breach, prompt)) {
                return Some(reply);
            }
        }
        if scan.facts().depth > self.config.max_depth {
            self.state = State::Measured;
            return self.refuse(exchange, Refusal::Depth(self.config.max_depth));
        }
        let why = scan.fault().map(|fault| Refusal::Json(fault, self.config.max_depth))?;
        self.state = State::Measured;
        self.refuse(exchange, why)
    }

    /// Checks the complete request, and edits it unless a rule refuses it.
    fn finish(&mut self, exchange: &dyn Exchange, limits: &Limits) -> Option<Flow> {
        let prompt = limits.prompt.as_ref()?;
        self.listener(|listener| listener.finish());
        if let Some(reply) = self.judge(exchange, limits) {
            return Some(reply);
        }
        let scan = exchange.scan().filter(|scan| scan.is_complete())?;
        if !scan.facts().is_object
            && let Some(reply) = self.refuse(exchange, Refusal::NoObject)
        {
            return Some(reply);
        }
        let facts = scan.facts();
        let clamp = prompt.completion_tokens.filter(|_| limits.clamp);
        let work = work(facts, clamp);
        if prompt.work.is_some_and(|most| work > most) {
            let breach = Breach { rule: Rule::Work, place: None, found: work };
            if let Some(reply) = self.refuse(exchange, Refusal::Prompt(&breach, prompt)) {
                return Some(reply);
            }
        }
        if self.config.refuses_unread
            && facts.is_object
            && !facts.asks()
            && Api::of(&exchange.request_headers().path()).is_inference()
            && let Some(reply) = self.refuse(exchange, Refusal::Unread)
        {
            return Some(reply);
        }
        self.rewrite(exchange, scan, limits, prompt)
    }

    fn rewrite(
        &mut self,
        exchange: &dyn Exchange,
        scan: &Scan,
        limits: &Limits,
        prompt: &PromptLimits,
    ) -> Option<Flow> {
        let tokens = Tokens::of(exchange, limits, prompt);
        let limit = tokens.limit;
        let Mended { edits, note, strips, clamps } =
            match mend(&mut self.heard, scan.facts(), &tokens, || exchange.held()) {
                Ok(mended) => mended,
                Err(why) => {
                    let why = match why {
                        Inconsistent::Budget(budget) => Refusal::Budget(limit, budget),
                        Inconsistent::Several(member) => Refusal::Several(limit, member),
                    };
                    return self.refuse(exchange, why);
                }
            };
        if strips {
            Counter::Stripped.count(exchange, 1);
        }
        if clamps {
            Counter::Clamped.count(exchange, 1);
        }
        edits.into_iter().for_each(|edit| exchange.edit_request(edit));
        self.changed = note;
        None
    }

    /// Counts a refusal. Returns the response, unless the rule is in shadow mode.
    fn refuse(&mut self, exchange: &dyn Exchange, why: Refusal<'_>) -> Option<Flow> {
        let place = match why {
            Refusal::Prompt(breach, _) => self.config.rule(breach.rule),
            Refusal::Body(_) => place_of("max_body"),
            Refusal::Budget(..) | Refusal::Several(..) => place_of("max_completion_tokens"),
            Refusal::Unread => place_of("unread"),
            Refusal::Depth(_) => place_of("max_depth"),
            Refusal::Json(Invalid { what: Fault::TooDeep, .. }, _) => place_of("max_depth"),
            Refusal::Json(..) | Refusal::NoObject => place_of("json"),
            Refusal::ContentType => place_of("content_type"),
            Refusal::ContentEncoding => place_of("content_encoding"),
        };
        let is_shadow = self.config.is_shadow(place);
        let counter = if is_shadow { RuleCounter::Shadowed } else { RuleCounter::Rejected };
        exchange.count(counter.place(place, self.config.rules()), 1);
        if is_shadow {
            return None;
        }
        self.state = State::Decided;
        Some(Flow::Reply(refusal(&self.config.label(place), why)))
    }

    fn listener(&mut self, hear: impl FnOnce(&mut Listener<'_>)) {
        let Some(limits) = &self.config.at(self.route).prompt else { return };
        let enforces = |rule| !self.config.is_shadow(self.config.rule(rule));
        let denied = self.config.denied.as_ref();
        hear(&mut Listener { limits, denied, enforces: &enforces, heard: &mut self.heard });
    }
}

impl TextSink for InputLimitStream {
    fn piece(&mut self, place: &Place, text: &str) {
        self.listener(|listener| listener.piece(place, text));
    }

    fn end_of_text(&mut self, place: &Place) {
        self.listener(|listener| listener.end_of_text(place));
    }

    fn suspect(&mut self, place: &Place, suspect: &Suspect) {
        self.listener(|listener| listener.suspect(place, suspect));
    }

    fn sealed(&mut self, place: &Place, text: &str) {
        self.listener(|listener| listener.sealed(place, text));
    }

    fn end_of_message(&mut self, place: &Place) {
        self.listener(|listener| listener.end_of_message(place));
    }

    fn unheard(&mut self, place: &Place, characters: u64) {
        self.listener(|listener| listener.unheard(place, characters));
    }
}

/// The treatment of a body by its media type, the strictest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Media {
    Passed,
    Json,
    /// A form with files, or a file: passed on paths for uploads.
    Upload,
    Unknown,
}

impl Media {
    fn of(value: &[u8], config: &Config) -> Self {
        let kind = value.split(|byte| *byte == b';').next().unwrap_or_default();
        let kind = kind.trim_ascii().to_ascii_lowercase();
        if config.pass_content_types.contains(&kind) {
            Self::Passed
        } else if kind.is_empty()
            || kind == b"application/json"
            || kind.ends_with(b"+json")
            || kind == b"text/plain"
        {
            Self::Json
        } else if kind == b"multipart/form-data"
            || kind == b"application/octet-stream"
            || kind == b"application/pdf"
            || [b"audio/".as_slice(), b"image/", b"video/"].iter().any(|of| kind.starts_with(of))
        {
            Self::Upload
        } else {
            Self::Unknown
        }
    }
}

/// Returns true if a path is for uploads. On any other path an upload media type may hide a prompt: some servers read
/// JSON whatever its media type.
fn is_upload(path: &[u8]) -> bool {
    let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let mut words = path.split(|byte| *byte == b'/');
    words.any(|word| UPLOADS.contains(&word))
        || path.ends_with(b"/images/edits")
        || path.ends_with(b"/images/variations")
}

/// Path segments of uploads: OpenAI's, those of servers with its API, and Ollama's.
const UPLOADS: [&[u8]; 6] = [b"audio", b"files", b"uploads", b"blobs", b"containers", b"transcribe"];

/// Returns true if a member's value is a number, which can be reduced.
fn is_number(scan: &Scan, member: Member) -> bool {
    scan.facts().member(member).is_none_or(|seen| seen.value != Value::Other)
}

fn number(text: &[u8]) -> Option<u64> {
    core::str::from_utf8(text).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
