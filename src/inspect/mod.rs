//! A video file → what the codec sees in it.

mod direction_colour;
mod displacement;
mod gops;
mod legend;
mod order;
mod overlay;
mod report;
mod speed;
mod statistics;
