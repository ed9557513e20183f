//! The contract of a network filter. It sits in front of the proxy's HTTP codec, sees the bytes of a connection as
//! they arrive, and may close the connection. It never withholds bytes.

use crate::plugin::{Plugin, Proxy};

/// A configured network filter.
pub trait Guard: Plugin {
    /// The state of one connection.
    type Connection: Connection;

    /// Returns the state of a new connection.
    fn connection(&self) -> Self::Connection;
}

/// The callbacks of a network filter for one downstream connection.
pub trait Connection {
    /// Called when the connection is opened.
    fn on_open(&mut self, link: &dyn Link) -> Fate;

    /// Called when the proxy's read buffer contains `length` bytes, some of which may have been shown before.
    fn on_data(&mut self, link: &dyn Link, length: usize) -> Fate;

    /// Called at the time set by [`Proxy::set_alarm`].
    fn on_alarm(&mut self, link: &dyn Link) -> Fate;

    /// Called when the connection is closed, by either side or the proxy.
    fn on_close(&mut self, link: &dyn Link);
}

/// The verdict on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The connection stays open.
    Keep,
    /// The connection is closed.
    Close,
}

/// One downstream connection, and the worker that it runs on.
pub trait Link: Proxy {
    /// Returns at most `most` bytes of the read buffer from `offset` on. Only available in [`Connection::on_data`].
    /// One host call.
    fn bytes(&self, offset: usize, most: usize) -> Option<Vec<u8>>;
}
