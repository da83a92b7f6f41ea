//! What the build does beyond cargo.

fn main() {}
