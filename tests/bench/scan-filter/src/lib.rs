//! Reads each request's body again and again, as often as the header `x-rounds` says: by our scanner, in pieces as Envoy
//! hands them on, or with `x-reader: value` into a tree. What the rounds cost is seen from outside, in CPU time.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::hint::black_box;
use tidegate_policy::inference::Scanner;

const CHUNK: usize = 16 << 10;
const MAX_DEPTH: u8 = 32;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Scan::default()));
}}

#[derive(Default)]
struct Scan {
    into_tree: bool,
    rounds: usize,
}

impl Context for Scan {}

impl RootContext for Scan {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Self::default()))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Scan {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let header = |name| self.get_http_request_header(name).unwrap_or_default();
        (self.into_tree, self.rounds) =
            (header("x-reader") == "value", header("x-rounds").parse().unwrap_or(0));
        Action::Continue
    }

    fn on_http_request_body(&mut self, length: usize, ends: bool) -> Action {
        if !ends {
            return Action::Pause;
        }
        let body = self.get_http_request_body(0, length).unwrap_or_default();
        let read = if self.into_tree { parse } else { scan };
        let done = (0..self.rounds).all(|_| read(black_box(&body)));
        self.send_http_response(if done { 200 } else { 400 }, Vec::new(), None);
        Action::Pause
    }
}

fn scan(body: &[u8]) -> bool {
    let mut scanner = Scanner::new(MAX_DEPTH);
    let valid = body.chunks(CHUNK).all(|chunk| scanner.feed(chunk, &mut ()).is_ok());
    valid && scanner.finish(&mut ()).is_ok() && black_box(scanner.facts().characters) > 0
}

fn parse(body: &[u8]) -> bool {
    black_box(serde_json::from_slice::<serde_json::Value>(body)).is_ok()
}
