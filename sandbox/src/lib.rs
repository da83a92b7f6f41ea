//! Stand-ins of the peer systems on loopback, for the demo and the tests.
