//! Counters in a file: budgets that survive.

#![allow(dead_code)]
pub(crate) mod blob;
pub(crate) mod schema;
pub(crate) mod words;
