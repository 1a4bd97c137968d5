//! Memoised results of pure functions: a memo may change the time of a computation, never its answer.
//!
//! One type and one eviction rule: a memo holds at most `MOST` entries, and drops all of them when another comes.
//! Like least-recently-used it misses at most `MOST` times as often as the best possible choice (flush-when-full,
//! Sleator & Tarjan, CACM 28(2), 1985), but a hit costs one look-up and no bookkeeping. There is no lock and no
//! cell: who shares a memo wraps it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

/// Cache of up to `MOST` values by key; all are dropped when one more is inserted.
///
/// ```text
/// let price = prices.get_or_try_make(request, || network.price(&request))?;
/// ```
#[derive(Clone, Debug)]
pub(crate) struct Memo<K, V, const MOST: usize> {
    known: HashMap<K, V, BuildHasherDefault<MultiplyHasher>>,
}

impl<K, V, const MOST: usize> Default for Memo<K, V, MOST> {
    fn default() -> Self {
        Self {
            known: HashMap::default(),
        }
    }
}

impl<K: Eq + Hash, V, const MOST: usize> Memo<K, V, MOST> {
    /// The cached value of a key.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.known.get(key)
    }

    /// Caches a value, in place of the one that its key had.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.make_room(&key);
        self.known.insert(key, value);
    }

    /// The value of a key, made if it is not cached.
    pub(crate) fn get_or_make(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.make_room(&key);
        self.known.entry(key).or_insert_with(make)
    }

    /// The value of a key, made if it is not cached; a failure is not cached.
    ///
    /// # Errors
    /// If `make` fails.
    pub(crate) fn get_or_try_make<E>(
        &mut self,
        key: K,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<&mut V, E> {
        self.make_room(&key);
        match self.known.entry(key) {
            Entry::Occupied(found) => Ok(found.into_mut()),
            Entry::Vacant(vacant) => Ok(vacant.insert(make()?)),
        }
    }

    fn make_room(&mut self, key: &K) {
        if self.known.len() >= MOST && !self.known.contains_key(key) {
            let of = std::any::type_name::<V>();
            log::debug!(entries = MOST, of; "dropped a full cache");
            self.known.clear();
        }
    }
}

/// A shared value as a key that is compared by address: equal only to clones of the same `Arc`.
///
/// The key holds the value, so that its address is never reused while the key is cached.
#[derive(Debug)]
pub(crate) struct ByAddress<T>(pub Arc<T>);

impl<T> Clone for ByAddress<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> PartialEq for ByAddress<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Eq for ByAddress<T> {}

impl<T> Hash for ByAddress<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// A multiplicative hash for keys of a few words that nobody chooses to collide, several times faster than the
/// standard library's.
///
/// Polynomial in the words of the key, as in rustc-hash 2.1 (multiplier and rotation are its own).
#[derive(Clone, Copy, Debug, Default)]
struct MultiplyHasher(u64);

impl MultiplyHasher {
    fn add(&mut self, word: u64) {
        self.0 = self
            .0
            .wrapping_add(word)
            .wrapping_mul(0xf135_7aea_2e62_a9c5);
    }
}

impl Hasher for MultiplyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.add(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.add(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.add(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.add(word as u64);
    }

    fn finish(&self) -> u64 {
        // The table takes its bucket from the low bits, the best mixed ones are the high bits.
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once() {
        let mut memo: Memo<u32, u32, 4> = Memo::default();
        assert_eq!(*memo.get_or_make(3, || 9), 9);
        assert_eq!(*memo.get_or_make(3, || unreachable!("it is remembered")), 9);
        assert_eq!(memo.get(&3), Some(&9));
    }

    // Two fit; the third finds the memo full and starts it anew.
    #[test]
    fn all_entries_are_forgotten_when_one_more_comes_than_fit() {
        let mut memo: Memo<u32, u32, 2> = Memo::default();
        memo.insert(1, 1);
        memo.insert(2, 4);
        assert_eq!(*memo.get_or_make(2, || 0), 4);
        memo.insert(1, 5);
        assert_eq!((memo.get(&1), memo.get(&2)), (Some(&5), Some(&4)));
        memo.get_or_make(3, || 9);
        assert_eq!((memo.get(&1), memo.get(&2)), (None, None));
        assert_eq!(memo.get(&3), Some(&9));
    }

    #[test]
    fn a_failure_is_tried_again() {
        let mut memo: Memo<u32, u32, 2> = Memo::default();
        assert_eq!(memo.get_or_try_make(1, || Err("no")), Err("no"));
        assert_eq!(memo.get_or_try_make::<&str>(1, || Ok(7)), Ok(&mut 7));
    }

    #[test]
    fn equal_values_at_two_addresses_are_two_keys() {
        let (one, other) = (Arc::new(5), Arc::new(5));
        let mut memo: Memo<(ByAddress<i32>, u32), &str, 4> = Memo::default();
        memo.insert((ByAddress(Arc::clone(&one)), 8), "one");
        memo.insert((ByAddress(other), 8), "other");
        assert_eq!(memo.get(&(ByAddress(one), 8)), Some(&"one"));
    }

    // Keys that differ in one bit or in the order of their words lie in 1,024 buckets much as chance would have
    // it: 4,096 keys on 1,024 buckets are 4 each, and a Poisson bucket of 4 exceeds 20 once in 10⁹.
    #[test]
    fn keys_that_differ_little_are_spread_over_the_buckets() {
        let mut buckets = vec![0; 1024];
        for key in (0..64_u32).flat_map(|a| (0..64_u64).map(move |b| (a, b << 20))) {
            let mut hasher = MultiplyHasher::default();
            key.hash(&mut hasher);
            buckets[hasher.finish() as usize % 1024] += 1;
        }
        assert!(buckets.iter().all(|count| *count <= 20), "{buckets:?}");
    }
}
