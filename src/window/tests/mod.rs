//! The chooser as a whole, against streams whose true display order and references are known.

mod assembling;
mod behaviour;
mod properties;
mod stream;
