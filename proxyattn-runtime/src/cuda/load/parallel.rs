//! Work on several threads.

use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread::ScopedJoinHandle;

/// Does each piece of work on a thread of its own: units are compiled in parallel, since most of a first load is a few
/// attention kernels. `done` is called on this thread with the number of finished pieces.
pub(crate) fn in_parallel<T: Sync, R: Send>(
    work: &[T],
    run: impl Fn(&T) -> R + Sync,
    done: &mut dyn FnMut(usize),
) -> Vec<R> {
    std::thread::scope(|scope| {
        let (run, (finished, finishes)) = (&run, mpsc::channel());
        let start = |piece| {
            let finished = finished.clone();
            scope.spawn(move || {
                let result = run(piece);
                let _ = finished.send(()); // the receiver waits for all of them
                result
            })
        };
        let threads: Vec<_> = work.iter().map(start).collect();
        drop(finished);
        finishes.iter().enumerate().for_each(|(before, ())| done(before + 1));
        let join = |thread: ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(|e| resume_unwind(e));
        threads.into_iter().map(join).collect()
    })
}
