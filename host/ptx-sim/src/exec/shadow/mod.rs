//! What is known of every byte of memory: who wrote it, who read it, which copy is on its way to it.

mod flights;
mod in_flight;
mod shared;

pub(crate) use flights::{Flight, FlightId, Flights};
pub(crate) use shared::{Actor, Conflict, Found, Other, Shadow};

#[cfg(test)]
mod tests;
