//! Priority queue of events on integer time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::units::SimTime;

/// Events ordered by time; events of equal time leave in the order they came.
///
/// `O(log n)` per event. Time and sequence number are one 128-bit key, so one comparison decides.
#[derive(Clone, Debug)]
pub(crate) struct EventQueue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    sequence: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    key: u128,
    event: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl<T> Default for EventQueue<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            sequence: 0,
        }
    }
}

impl<T> EventQueue<T> {
    /// Adds an event.
    pub(crate) fn push(&mut self, at: SimTime, event: T) {
        let key = (u128::from(at.as_picos()) << 64) | u128::from(self.sequence);
        self.sequence += 1;
        self.heap.push(Reverse(Entry { key, event }));
    }

    /// Takes the earliest event, with its time.
    pub(crate) fn pop(&mut self) -> Option<(SimTime, T)> {
        self.heap
            .pop()
            .map(|Reverse(entry)| (SimTime::from_picos((entry.key >> 64) as u64), entry.event))
    }

    /// Forgets all events and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.heap.clear();
        self.sequence = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Two events at 5 ps and one at 3 ps: the early one first, then the two as they came.
    #[test]
    fn events_leave_by_time_and_then_in_the_order_they_came() {
        let mut queue = EventQueue::default();
        queue.push(SimTime::from_picos(5), 'a');
        queue.push(SimTime::from_picos(5), 'b');
        queue.push(SimTime::from_picos(3), 'c');
        let order: Vec<char> = std::iter::from_fn(|| queue.pop().map(|(_, event)| event)).collect();
        assert_eq!(order, ['c', 'a', 'b']);
    }
}
