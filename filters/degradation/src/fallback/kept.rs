//! A request that wants a kept answer or none (`only-if-cached`): it never reaches the cluster, whatever its health. It is
//! for the APIs whose answers may be kept; to any other there is no cache that could be asked.
//!
//! Source: RFC 9111, section 5.2.1.7.

use crate::fallback::answer;
use crate::fallback::cache::Occasion;
use crate::filter::DegradationStream;
use crate::metrics::Counter;
use tidegate_host::exchange::Exchange;
use tidegate_host::reply::Reply;

impl DegradationStream {
    /// What a request gets that wants no more than a kept answer.
    pub(crate) fn kept_or_none(&self, exchange: &dyn Exchange) -> Option<Reply> {
        let asks = self.caller.asks_a_model && self.asked.may_be_kept(&self.worker.config);
        if !asks || !self.asked.control.only_if_cached || self.asked.opted_out {
            return None;
        }
        let kept = self.worker.kept(exchange, &self.asked, Occasion::Well(u64::MAX));
        let (counter, reply) = match kept {
            Some(reply) => (Counter::Cached, reply),
            None => (Counter::Refused, answer::none_is_kept()),
        };
        self.enforce(exchange, counter, reply)
    }
}
