//! The contract of a network filter. It stands before the proxy's HTTP codec, sees the bytes of a connection as they arrive, and
//! may close the connection. It never holds bytes back.

use crate::plugin::{Plugin, Proxy};

/// One configured network filter.
pub trait Guard: Plugin {
    /// What it keeps of one connection.
    type Connection: Connection;

    /// For a new connection.
    fn connection(&self) -> Self::Connection;
}

/// What a network filter does with one downstream connection.
pub trait Connection {
    /// The connection has been opened.
    fn on_open(&mut self, link: &dyn Link) -> Fate;

    /// So many bytes lie in the proxy's read buffer, which may have been shown before.
    fn on_data(&mut self, link: &dyn Link, length: usize) -> Fate;

    /// The time that was set by [`Proxy::set_alarm`] has come.
    fn on_alarm(&mut self, link: &dyn Link) -> Fate;

    /// It is gone, whoever closed it.
    fn on_close(&mut self, link: &dyn Link);
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The connection stays open.
    Keep,
    /// The connection is closed.
    Close,
}

/// One downstream connection, and the worker that it runs on.
pub trait Link: Proxy {
    /// At most `most` bytes of the read buffer from `offset`; only in [`Connection::on_data`]. One host call.
    fn bytes(&self, offset: usize, most: usize) -> Option<Vec<u8>>;
}
