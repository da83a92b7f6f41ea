//! Compiles modules/*.yml into the executable.

fn main() {}
