//! The engine and its sessions on scripted machines, with a real profile and a real audit log.

#![cfg(test)]

mod bulk;
mod clock;
mod credentials;
mod define;
mod edit;
mod hosts;
mod lab;
mod lift;
mod operations;
mod progress;
mod stores;
mod windows;
mod world;
