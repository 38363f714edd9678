//! Tests of `driver`.
