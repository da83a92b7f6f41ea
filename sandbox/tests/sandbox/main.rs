//! The stand-ins held against their contracts, over real HTTPS.

#[cfg(test)]
mod common;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod lives;
#[cfg(test)]
mod quay;
#[cfg(test)]
mod quay_faults;
#[cfg(test)]
mod quay_federation;
#[cfg(test)]
mod quay_registry;
#[cfg(test)]
mod quay_robots;
#[cfg(test)]
mod token_endpoint;
