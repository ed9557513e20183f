//! The facts in the request headers that decide how the response is judged: the API, whether it runs a model, and the
//! client. Only inference counts for inference: a successful list of models proves nothing about failing chats, and
//! such requests are not blocked when chats fail.

use crate::config::Config;
use tidegate_host::exchange::Exchange;
use tidegate_policy::api::Api;
use tidegate_policy::health::Who;

/// The client and the kind of its request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller {
    /// API of the request.
    pub api: Api,
    /// True if the request runs a model.
    pub asks_a_model: bool,
    /// True if the body can contain the question as text. The body of an upload is not waited for.
    pub says_what: bool,
    /// Client of the request.
    pub who: Who,
}

impl Caller {
    /// Reads the request headers. A request without a body runs no model. One host call for the address.
    pub fn of(exchange: &dyn Exchange, config: &Config) -> Self {
        let headers = exchange.request_headers();
        let api = Api::of(&headers.path());
        let says_what = api.is_inference() && !headers.all(b"content-type").any(is_upload);
        let who = if api.is_inference() { who(exchange, config) } else { Who::default() };
        Self { api, asks_a_model: api.is_inference(), says_what, who }
    }

    /// Returns true if this API streams only on request, so that the timeout otherwise applies to the whole response.
    pub const fn streams_only_if_asked(&self) -> bool {
        self.api.may_be_kept()
    }
}

/// Returns true if a media type is that of files, sound or pictures.
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
