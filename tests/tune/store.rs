//! The records on disk under everything that can happen to a file.

use crate::records::{record, scope};
use proxyattn::tune::{Record, Scope, Store};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A cache directory of one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tune-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("the target folder can be written");
        Self(dir)
    }

    fn store(&self) -> Store {
        Store::new(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A store with records of these lengths, and its file.
fn written(scratch: &Scratch, tokens: &[u64]) -> (Store, PathBuf) {
    let records: Vec<_> = tokens.iter().map(|&tokens| record(tokens)).collect();
    let store = scratch.store();
    let path = store.append(&scope().spec, &records).expect("a directory of its own");
    (store, path)
}

#[test]
fn what_is_written_is_read_back() {
    let scratch = Scratch::new("whole");
    let store = scratch.store();
    assert_eq!(store.read(&scope().spec), Default::default(), "nothing is there, and nothing is wrong");
    let (store, path) = written(&scratch, &[1024, 2048]);
    assert_eq!(path, store.path(&scope().spec));
    let found = store.read(&scope().spec);
    assert_eq!(found.records, [record(1024), record(2048)]);
    assert_eq!(found.refused, Vec::<String>::new());
    for line in fs::read_to_string(path).expect("the file").lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        assert_eq!(value["record"]["measurements"][1]["outcome"], "won");
    }
}

#[test]
fn the_last_record_of_a_bucket_counts_and_the_first_stays() {
    let scratch = Scratch::new("last");
    let (store, _) = written(&scratch, &[1024, 2048]);
    let newer = Record { winner: Vec::new(), winner_ms: 1.25, ..record(1024) };
    store.append(&scope().spec, std::slice::from_ref(&newer)).expect("the same file");
    let found = store.read(&scope().spec);
    assert_eq!(found.records.len(), 3);
    assert_eq!(found.for_scope(&scope(), false), [&record(2048), &newer]);
}

#[test]
fn an_edited_line_is_refused_and_the_others_are_not() {
    let scratch = Scratch::new("edited");
    let (store, path) = written(&scratch, &[1024, 2048, 4096]);
    let text = fs::read_to_string(&path).expect("the file");
    let lines: Vec<_> = text.lines().collect();
    let edits: [(&str, &str); 5] = [
        ("\"STAGES\",\"value\":3", "\"STAGES\",\"value\":4"),
        ("\"winner_ms\":1.1", "\"winner_ms\":0.1"),
        ("\"outcome\":\"won\"", "\"outcome\": \"won\""),
        ("{\"checksum\":\"", "{\"checksum\":\"0"),
        ("{\"checksum\"", "# {\"checksum\""),
    ];
    for (from, to) in edits {
        assert!(lines[1].contains(from), "{from}");
        fs::write(&path, [lines[0], &lines[1].replacen(from, to, 1), lines[2]].join("\n")).expect("an edit");
        let found = store.read(&scope().spec);
        assert_eq!(found.records, [record(1024), record(4096)], "{to}");
        let [told] = &found.refused[..] else { panic!("{:?}", found.refused) };
        assert!(told.contains("line 2: ") && told.contains("the record is not used"), "{told}");
        assert!(told.contains(path.to_str().expect("a path of this repository")), "{told}");
    }
    // The next writer leaves whole lines alone behind.
    store.append(&scope().spec, &[record(2048)]).expect("the same file");
    let found = store.read(&scope().spec);
    assert_eq!((found.records.len(), found.refused.len()), (3, 0));
}

#[test]
fn a_line_that_ends_early_is_refused_wherever_it_ends() {
    let scratch = Scratch::new("torn");
    let (store, path) = written(&scratch, &[1024, 2048]);
    let whole = fs::read(&path).expect("the file");
    let first = whole.iter().position(|&byte| byte == b'\n').expect("two lines") + 1;
    for end in (first + 1..whole.len() - 1).step_by(7) {
        fs::write(&path, &whole[..end]).expect("a torn file");
        let found = store.read(&scope().spec);
        assert_eq!((&found.records[..], found.refused.len()), (&[record(1024)][..], 1), "{end} bytes");
    }
}

#[test]
fn a_flipped_bit_is_noticed() {
    let scratch = Scratch::new("rotten");
    let (store, path) = written(&scratch, &[1024]);
    let whole = fs::read(&path).expect("the file");
    for bit in (0..(whole.len() - 1) * 8).step_by(13) {
        let mut rotten = whole.clone();
        rotten[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, rotten).expect("a rotten file");
        let found = store.read(&scope().spec);
        assert!(found.records.is_empty() && !found.refused.is_empty(), "bit {bit}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let scratch = Scratch::new("directory");
    let store = scratch.store();
    fs::create_dir_all(store.path(&scope().spec)).expect("a directory in the file's place");
    let found = store.read(&scope().spec);
    assert!(found.records.is_empty() && found.refused.len() == 1, "{found:?}");
    assert!(store.append(&scope().spec, &[record(1024)]).is_err());
}

/// A record counts for one GPU, driver, compiler, configuration and set of candidates alone; a reviewed one for any
/// driver and compiler.
#[test]
fn a_record_of_another_scope_is_not_used() {
    let scratch = Scratch::new("scope");
    let (store, _) = written(&scratch, &[1024]);
    let found = store.read(&scope().spec);
    assert_eq!(found.for_scope(&scope(), false).len(), 1);
    type Change = fn(&mut Scope);
    let changes: [(&str, Change, bool); 6] = [
        ("GPU", |scope| scope.machine.gpu = "NVIDIA H100 PCIe".into(), false),
        ("multiprocessors", |scope| scope.machine.multiprocessors = 114, false),
        ("driver", |scope| scope.machine.driver = "13.0 (580.65.06)".into(), true),
        ("NVRTC", |scope| scope.machine.nvrtc.push('1'), true),
        ("spec", |scope| scope.spec.replace_range(63.., "6"), false),
        ("candidates", |scope| scope.candidates.replace_range(..1, "d"), false),
    ];
    for (field, change, reviewed) in changes {
        let mut other = scope();
        change(&mut other);
        assert!(found.for_scope(&other, false).is_empty(), "{field}");
        assert_eq!(found.for_scope(&other, true).len(), usize::from(reviewed), "{field}, reviewed");
        let told = scope().differs(&other, false).expect("it does");
        assert!(told.starts_with(&format!("made for {field} `")), "{told}");
    }
    // Another configuration looks into another file.
    assert_ne!(store.path(&"6".repeat(64)), store.path(&scope().spec));
}

#[test]
fn what_was_replaced_or_damaged_can_be_swept_out() {
    let scratch = Scratch::new("tidy");
    assert_eq!(scratch.store().specs().expect("no directory is no error"), Vec::<String>::new());
    let (store, path) = written(&scratch, &[1024, 2048]);
    let mut elsewhere = record(1024);
    elsewhere.scope.machine.driver.push('1');
    let newer = Record { winner_ms: 1.0, ..record(1024) };
    store.append(&scope().spec, &[elsewhere.clone(), newer.clone()]).expect("the same file");
    let mut text = fs::read_to_string(&path).expect("the file");
    text.push_str("torn\n");
    fs::write(&path, text).expect("an edit");

    let [spec] = &store.specs().expect("a directory")[..] else { panic!("one configuration") };
    assert!(scope().spec.starts_with(spec.as_str()));
    assert_eq!(store.tidy(spec, false).expect("a file"), 1, "the torn line");
    assert_eq!(store.read(spec).records.len(), 4);
    assert_eq!(store.tidy(spec, true).expect("a file"), 1, "the first record of 1024 tokens");
    assert_eq!(store.read(spec).records, [record(2048), elsewhere, newer]);
    assert_eq!(store.tidy(spec, true).expect("a file"), 0);
    store.remove(spec).expect("a file");
    store.remove(spec).expect("that it is gone is no error");
    assert_eq!(store.read(spec), Default::default());
}

const WRITERS: u64 = 4;
const RECORDS: u64 = 6;

/// Several threads of several processes write to one file at once: all that they wrote is there.
#[test]
fn writers_do_not_lose_each_others_records() {
    let scratch = Scratch::new("writers");
    let child = |writer: u64| {
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command.args(["store::child_writer", "--exact", "--ignored"]);
        command.env("TUNE_TEST_DIR", &scratch.0).env("TUNE_TEST_WRITER", writer.to_string());
        command.spawn().expect("a child")
    };
    let children: Vec<_> = (0..WRITERS).map(child).collect();
    for mut child in children {
        assert!(child.wait().expect("a child").success());
    }
    let found = scratch.store().read(&scope().spec);
    assert_eq!(found.refused, Vec::<String>::new());
    assert_eq!(found.records.len() as u64, WRITERS * RECORDS);
    for writer in 0..WRITERS {
        let mine = |record: &&Record| record.problem.batch as u64 == writer + 1;
        let tokens: Vec<_> =
            found.records.iter().filter(mine).map(|record| record.problem.q_len as u64).collect();
        assert_eq!(tokens, (1..=RECORDS).collect::<Vec<_>>(), "in the order in which they were written");
    }
    let left = fs::read_dir(scratch.0.join("tune")).expect("the directory").count();
    assert_eq!(left, 2, "the file and the lock");
}

#[test]
#[ignore = "a child of writers_do_not_lose_each_others_records"]
fn child_writer() {
    let Some(dir) = std::env::var_os("TUNE_TEST_DIR") else { return };
    let writer: usize = std::env::var("TUNE_TEST_WRITER").expect("a number").parse().expect("a number");
    let store = Store::new(Path::new(&dir));
    for i in 1..=RECORDS {
        let mut one = record(1024);
        (one.problem.batch, one.problem.q_len) = (writer + 1, i as usize);
        store.append(&scope().spec, &[one]).expect("room");
    }
}
