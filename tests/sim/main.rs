//! The simulator from outside: the real `ssh` program, our own transport and our own driver on it.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod driver;
mod faults;
mod openssh;
