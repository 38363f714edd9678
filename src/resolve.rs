//! From a name to addresses: the one place that asks a resolver, so that what is judged and what is
//! dialled can be the same addresses. It judges nothing and dials nothing.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

/// Addresses of a name, or why there are none.
pub type Looking<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Something that knows addresses of names.
pub trait Lookup: Send + Sync {
    /// Returns the addresses of a name with a port.
    fn look_up<'a>(&'a self, name: &'a str, port: u16) -> Looking<'a>;
}

/// Asks for addresses of names. Cloning is cheap.
#[derive(Clone)]
pub struct Resolver(Arc<dyn Lookup>);

impl Resolver {
    /// Takes something that knows.
    pub fn new(lookup: impl Lookup + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// Returns the addresses of a name with a port.
    pub async fn look_up(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.0.look_up(name, port).await
    }
}

/// The system's resolver.
impl Default for Resolver {
    fn default() -> Self {
        Self::new(System)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

struct System;

impl Lookup for System {
    fn look_up<'a>(&'a self, name: &'a str, port: u16) -> Looking<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
    }
}
