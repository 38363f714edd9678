//! Where a request comes from: the peer, or what a trusted proxy says of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::Request;

use crate::config::ServeConfig;

/// The other end of the connection: set by the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Where the request comes from: set before anything else looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Returns the address of a request; an unspecified one where nobody has set it.
    pub fn of(request: &Request) -> IpAddr {
        let set = request.extensions().get::<Self>();
        set.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0)
    }
}

/// Finds out where a request comes from.
pub fn resolve(_config: &ServeConfig, request: &Request) -> IpAddr {
    let peer = request.extensions().get::<Peer>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| {
        peer.0.ip().to_canonical()
    })
}
