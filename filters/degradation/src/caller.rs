//! What a request's head says of how its answer is judged: whether it asks a model to work at all, who asks, and whether
//! its outcome stands in the status. Inference is judged by inference: a list of models that is answered says nothing of
//! chats that fail, and is not kept from the cluster when they do.

use crate::config::Config;
use tidegate_host::exchange::Exchange;
use tidegate_policy::api::Api;
use tidegate_policy::health::Who;

/// Who asks for what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller {
    /// The API that is asked.
    pub api: Api,
    /// Whether a model is to work.
    pub asks_a_model: bool,
    /// Whether what is asked can stand in the body as text: that of an upload is not waited for.
    pub says_what: bool,
    /// Who asks.
    pub who: Who,
}

impl Caller {
    /// Of a request that goes on: one without a body asks no model. One host call for the address.
    pub fn of(exchange: &dyn Exchange, config: &Config) -> Self {
        let headers = exchange.request_headers();
        let api = Api::of(&headers.path());
        let says_what = api.is_inference() && !headers.all(b"content-type").any(is_upload);
        let who = if api.is_inference() { who(exchange, config) } else { Who::default() };
        Self { api, asks_a_model: api.is_inference(), says_what, who }
    }

    /// Whether an answer comes as a whole unless a stream was asked for, so that its time is that of the whole.
    pub const fn streams_only_if_asked(&self) -> bool {
        self.api.may_be_kept()
    }
}

/// Whether a media type is that of files, sound or pictures.
fn is_upload(content_type: &[u8]) -> bool {
    const UPLOADS: [&[u8]; 5] = [b"multipart/", b"audio/", b"image/", b"video/", b"application/octet-stream"];
    let media = content_type.trim_ascii_start().to_ascii_lowercase();
    UPLOADS.iter().any(|upload| media.starts_with(upload))
}

fn who(exchange: &dyn Exchange, config: &Config) -> Who {
    let prints = exchange.fingerprinter();
    let address = config.clients.network(exchange).unwrap_or_default();
    Who {
        address: prints.of([b"address".as_slice(), &address]).mark,
        key: prints.of(config.clients.client(exchange).parts()).mark,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_host::fake::FakeProxy;

    fn of(path: &str, content_type: &str) -> Caller {
        let proxy = FakeProxy::default();
        let headers = [(":method", "POST"), (":path", path), ("content-type", content_type)];
        Caller::of(&proxy.exchange(&headers), &Config::read(b"{}").unwrap())
    }

    #[test]
    fn an_upload_is_judged_and_not_waited_for() {
        let path = "/v1/audio/transcriptions";
        for upload in ["multipart/form-data; boundary=x", "Audio/mpeg", "application/octet-stream"] {
            let caller = of(path, upload);
            assert!(caller.asks_a_model && !caller.says_what, "{upload}");
        }
        for text in ["application/json", "", "application/x-www-form-urlencoded"] {
            assert!(of(path, text).says_what, "{text}");
        }
        assert!(!of("/v1/files", "application/json").says_what);
    }
}
