//! The engine against a world in memory, in which every step can be disturbed: see [`world`].

mod decision;
mod forecast;
mod grace;
mod hidden;
mod notes;
mod survival;
mod world;
