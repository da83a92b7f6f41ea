//! tokens of Red Hat systems kept alive, fresh and secret.
