//! Single flight: one compilation per key and process. The first caller compiles, the others wait for its result.

use super::Cubin;
use super::cache::Key;
use crate::Result;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Cubins in memory, and pending compilations.
#[derive(Default)]
pub(super) struct Flights {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
}

#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Pending,
    Done(Result<Arc<Cubin>>),
    /// The compiling caller panicked, so that another one has to compile.
    Abandoned,
}

impl Flights {
    /// The cubin of `key`, made by `work` unless it exists or is pending; and whether `work` was skipped.
    ///
    /// All waiting callers get an error, but it is not kept: the next request tries again.
    pub(super) fn join(
        &self,
        key: Key,
        work: impl FnOnce() -> Result<Arc<Cubin>>,
    ) -> (Result<Arc<Cubin>>, bool) {
        loop {
            let mut slots = lock(&self.slots);
            let Some(slot) = slots.get(&key).cloned() else {
                let slot = Arc::new(Slot::default());
                slots.insert(key, slot.clone());
                drop(slots);
                let mut flight = Flight { flights: self, key, slot, end: State::Abandoned };
                let result = work();
                flight.end = State::Done(result.clone());
                return (result, false);
            };
            drop(slots);
            let state = lock(&slot.state);
            let pending = |state: &mut State| matches!(state, State::Pending);
            let state = slot.done.wait_while(state, pending).unwrap_or_else(PoisonError::into_inner);
            if let State::Done(result) = &*state {
                return (result.clone(), true);
            }
        }
    }

    /// Removes a cubin from memory. A pending compilation is not affected.
    pub(super) fn forget(&self, key: &Key) {
        let mut slots = lock(&self.slots);
        if slots.get(key).is_some_and(|slot| !matches!(*lock(&slot.state), State::Pending)) {
            slots.remove(key);
        }
    }
}

/// Completes the slot even if the work panics.
struct Flight<'a> {
    flights: &'a Flights,
    key: Key,
    slot: Arc<Slot>,
    end: State,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let end = std::mem::replace(&mut self.end, State::Abandoned);
        if !matches!(end, State::Done(Ok(_))) {
            lock(&self.flights.slots).remove(&self.key);
        }
        *lock(&self.slot.state) = end;
        self.slot.done.notify_all();
    }
}

/// Ignores poisoning: a panic under these locks leaves their data consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
