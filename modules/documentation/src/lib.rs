//! Reads modules/*.yml: the one place where a module's options are written down.
