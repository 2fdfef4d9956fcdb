//! The shadow of shared memory while asynchronous operations write or read it.

use super::flights::FlightId;
use super::shared::{Actor, Conflict, Found, Other, Shadow, next_run};
use crate::exec::order::{Event, Order, Tag};

impl Shadow {
    /// An operation in flight begins to write `len` bytes at `at`: `tag` of `actor` is checked as for a write,
    /// and the bytes are those of the tag `flight` from now on.
    pub(crate) fn begin_write(
        &mut self,
        order: &Order,
        actor: &Actor,
        (tag, flight): (Tag, Tag),
        (at, len): (usize, usize),
    ) -> Result<(), Found> {
        self.write(order, actor, tag, (at, len), |_| false)?;
        self.writes[at..at + len].fill(flight);
        Ok(())
    }

    /// Who last wrote the `len` bytes at `at`: the first byte of each run, the event and its lanes. What is in
    /// flight or was never written is left out.
    pub(crate) fn writers(&self, at: usize, len: usize) -> impl Iterator<Item = (usize, Event, u32)> + '_ {
        let (mut from, end) = (at, at + len);
        let runs = std::iter::from_fn(move || {
            let start = (from < end).then_some(from)?;
            from = next_run(&self.writes, from, end);
            Some(start)
        });
        let known =
            runs.filter(|start| self.writes[*start] != Tag::NONE && FlightId::of(self.writes[*start]).is_none());
        known.flat_map(|start| self.events.members(self.writes[start]).map(move |(event, lanes)| (start, event, lanes)))
    }

    /// What was in flight to `len` bytes at `at` has been written by the event of `tag`.
    #[inline(always)]
    pub(crate) fn land(&mut self, at: usize, len: usize, tag: Tag) {
        self.note(at, len);
        self.writes[at..at + len].fill(tag);
    }

    /// An operation in flight begins to read `len` bytes at `at`: the check of a read, and nobody may write
    /// there until [`Shadow::end_read`].
    pub(crate) fn begin_read(
        &mut self,
        order: &Order,
        actor: &Actor,
        tag: Tag,
        (at, len): (usize, usize),
        flight: FlightId,
    ) -> Result<(), Found> {
        self.read(order, actor, tag, at, len)?;
        self.locks.resize(self.writes.len(), 0);
        for lock in &mut self.locks[at..at + len] {
            *lock = lock.saturating_add(1);
        }
        self.locked.push((flight, at, len));
        Ok(())
    }

    /// The operation has read all its bytes: it was the event of `tag` of `actor` that did.
    pub(crate) fn end_read(&mut self, order: &Order, actor: &Actor, tag: Tag, flight: FlightId) {
        let mut done = Vec::new();
        self.locked.retain(|(owner, at, len)| {
            if *owner == flight {
                done.push((*at, *len));
            }
            *owner != flight
        });
        for (at, len) in done {
            for lock in &mut self.locks[at..at + len] {
                *lock = lock.saturating_sub(1);
            }
            self.add_reader(order, actor, tag, at, len);
        }
    }

    /// Nobody may write bytes that an operation in flight writes or reads.
    pub(super) fn at_rest(&self, at: usize, end: usize) -> Result<(), Found> {
        for byte in at..end {
            if let Some((flight, lane)) = FlightId::of(self.writes[byte]) {
                let other = Other::Flight(flight, lane);
                return Err(Found { conflict: Conflict::InFlight, at: byte, other });
            }
        }
        if self.locked.is_empty() {
            return Ok(());
        }
        let Some(byte) = (at..end).find(|byte| self.locks[*byte] != 0) else { return Ok(()) };
        let holds = |(_, at, len): &&(FlightId, usize, usize)| (*at..at + len).contains(&byte);
        let other = self.locked.iter().find(holds).map_or(Other::None, |(flight, ..)| Other::Flight(*flight, 0));
        Err(Found { conflict: Conflict::Locked, at: byte, other })
    }
}
