//! The stand-ins held against their contracts, over real HTTPS.

#[cfg(test)]
mod central;
#[cfg(test)]
mod central_access;
#[cfg(test)]
mod central_exchange;
#[cfg(test)]
mod central_faults;
#[cfg(test)]
mod central_lives;
#[cfg(test)]
mod central_tokens;
#[cfg(test)]
mod common;
#[cfg(test)]
mod controller_objects;
#[cfg(test)]
mod controller_setup;
#[cfg(test)]
mod controller_types;
#[cfg(test)]
mod controller_writes;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod hub;
#[cfg(test)]
mod lives;
#[cfg(test)]
mod platform;
#[cfg(test)]
mod platform_access;
#[cfg(test)]
mod platform_controller;
#[cfg(test)]
mod platform_lists;
#[cfg(test)]
mod platform_lives;
#[cfg(test)]
mod platform_oauth;
#[cfg(test)]
mod platform_tokens;
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
