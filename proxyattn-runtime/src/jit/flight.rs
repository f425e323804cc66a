//! One compilation a key and process: the first caller works, the others wait for what it gets.

use super::Cubin;
use super::cache::Key;
use crate::Result;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Cubins in memory, and those on their way.
#[derive(Default)]
pub(super) struct Flights {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
}

#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    landed: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Flying,
    Landed(Result<Arc<Cubin>>),
    /// The caller that worked panicked: someone else has to.
    Lost,
}

impl Flights {
    /// The cubin of `key`, made by `work` unless it is there or on its way; with it, whether `work` was spared.
    ///
    /// A failure is told to everyone who waited, and forgotten: what was missing may be there next time.
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
                let mut flight = Flight { flights: self, key, slot, end: State::Lost };
                let result = work();
                flight.end = State::Landed(result.clone());
                return (result, false);
            };
            drop(slots);
            let state = lock(&slot.state);
            let flying = |state: &mut State| matches!(state, State::Flying);
            let state = slot.landed.wait_while(state, flying).unwrap_or_else(PoisonError::into_inner);
            if let State::Landed(result) = &*state {
                return (result.clone(), true);
            }
        }
    }

    /// Forgets a cubin. One that is on its way arrives all the same.
    pub(super) fn forget(&self, key: &Key) {
        let mut slots = lock(&self.slots);
        if slots.get(key).is_some_and(|slot| !matches!(*lock(&slot.state), State::Flying)) {
            slots.remove(key);
        }
    }
}

/// Lands the slot whatever happens to the work.
struct Flight<'a> {
    flights: &'a Flights,
    key: Key,
    slot: Arc<Slot>,
    end: State,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let end = std::mem::replace(&mut self.end, State::Lost);
        if !matches!(end, State::Landed(Ok(_))) {
            lock(&self.flights.slots).remove(&self.key);
        }
        *lock(&self.slot.state) = end;
        self.slot.landed.notify_all();
    }
}

/// No invariant is ever broken under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
