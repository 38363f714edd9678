//! Managing what is kept: profiles, hosts, credentials, the audit log, from the command line.

pub mod passphrase;
