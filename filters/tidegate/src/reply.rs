//! The reply of one filter as those before it see it: a response on its way to the client. The headers that they set or
//! remove are set on the reply, or removed from it.

use crate::view::View;
use core::cell::RefCell;
use tidegate_host::bodies::Response;
use tidegate_host::exchange::{Exchange, Fact, FactValue};
use tidegate_host::headers::HeaderMap;
use tidegate_host::protocol::Protocol;
use tidegate_host::proxy_by;
use tidegate_host::reply::Reply;
use tidegate_host::scan::Scan;
use tidegate_policy::api::Dialect;
use tidegate_policy::rewrite::Edit;

/// A reply, in the place of a response, as one filter sees it.
pub struct ReplyView<'a> {
    view: View<'a>,
    headers: HeaderMap,
    trailers: HeaderMap,
    reply: RefCell<&'a mut Reply>,
}

impl<'a> ReplyView<'a> {
    /// Shows `reply` in the place of the response that `view` would show.
    pub fn new(view: View<'a>, reply: &'a mut Reply) -> Self {
        let status = (":status", reply.status.to_string());
        let headers = core::iter::once(&status).chain(&reply.headers);
        let headers = headers.map(|(name, value)| (*name, value.as_str())).collect();
        Self { view, headers, trailers: HeaderMap::default(), reply: RefCell::new(reply) }
    }
}

proxy_by!(ReplyView<'_>, view);

impl Exchange for ReplyView<'_> {
    fn request_headers(&self) -> &HeaderMap {
        self.view.request_headers()
    }

    fn protocol(&self) -> Protocol {
        self.view.protocol()
    }

    fn dialect(&self) -> Dialect {
        self.view.dialect()
    }

    fn set_request_header(&self, _: &str, _: &[u8]) {}

    fn remove_request_header(&self, _: &str) {}

    fn request_goes_on(&self) -> bool {
        false
    }

    fn can_hold(&self) -> bool {
        false
    }

    fn arrived(&self) -> &[u8] {
        &[]
    }

    fn scan(&self) -> Option<&Scan> {
        self.view.scan()
    }

    fn held(&self) -> Vec<u8> {
        Vec::new()
    }

    fn replace_held(&self, _: &[u8]) {}

    fn edit_request(&self, _: Edit) {}

    fn can_edit_request(&self) -> bool {
        false
    }

    fn response_headers(&self) -> &HeaderMap {
        &self.headers
    }

    fn response_header(&self, name: &'static str) -> Option<Vec<u8>> {
        self.headers.all(name.as_bytes()).next().map(<[u8]>::to_vec)
    }

    fn response_trailers(&self) -> &HeaderMap {
        &self.trailers
    }

    fn response_goes_on(&self) -> bool {
        true
    }

    fn set_response_header(&self, name: &'static str, value: &str) {
        self.remove_response_header(name);
        if let Ok(mut reply) = self.reply.try_borrow_mut() {
            reply.headers.push((name, value.to_owned()));
        }
    }

    fn remove_response_header(&self, name: &'static str) {
        if let Ok(mut reply) = self.reply.try_borrow_mut() {
            reply.headers.retain(|(found, _)| *found != name);
        }
    }

    fn response(&self) -> Option<&Response> {
        None
    }

    fn fact(&self, fact: Fact) -> Option<FactValue> {
        match fact {
            Fact::Cluster | Fact::HttpVersion => self.view.fact(fact),
            Fact::ResponseDetails => {
                self.reply.try_borrow().ok().map(|reply| FactValue(reply.details.clone().into_bytes()))
            }
            Fact::ResponseStatus => {
                let status = self.reply.try_borrow().ok().map(|reply| u64::from(reply.status));
                status.map(|status| FactValue(status.to_le_bytes().to_vec()))
            }
            Fact::ResponseFlags | Fact::Attempts => None,
        }
    }
}
