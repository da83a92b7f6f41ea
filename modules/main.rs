//! The modules of tokensmith.redhat in one multi-call executable.

fn main() {}
