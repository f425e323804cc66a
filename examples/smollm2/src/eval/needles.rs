//! A small set that needs no files: numbers hidden in text without a meaning.

use super::{Context, EvalSet, Question};
use crate::{Error, Result, Tokenizer};

const WHO: [&str; 12] = [
    "baker",
    "captain",
    "doctor",
    "farmer",
    "gardener",
    "hunter",
    "librarian",
    "merchant",
    "painter",
    "sailor",
    "teacher",
    "weaver",
];
const HOW: [&str; 12] = [
    "blue", "broken", "careful", "distant", "golden", "hollow", "narrow", "patient", "quiet", "silver",
    "tired", "wooden",
];
const DID: [&str; 8] = ["carried", "found", "kept", "painted", "repaired", "sold", "watched", "wrapped"];
const WHAT: [&str; 12] = [
    "basket", "bridge", "candle", "clock", "door", "ladder", "lantern", "map", "mirror", "rope", "table",
    "wheel",
];
const WHERE: [&str; 10] = [
    "behind the mill",
    "beside the river",
    "in the garden",
    "in the harbour",
    "near the market",
    "on the hill",
    "outside the church",
    "under the bridge",
    "by the old well",
    "at the edge of the forest",
];

/// What numbers belong to: words that the text does not have.
const KEYS: [&str; 24] = [
    "Amsterdam",
    "banana",
    "chess",
    "dolphin",
    "elephant",
    "football",
    "guitar",
    "honey",
    "igloo",
    "jazz",
    "kangaroo",
    "lemon",
    "Mexico",
    "nitrogen",
    "opera",
    "piano",
    "quartz",
    "rocket",
    "shark",
    "tennis",
    "umbrella",
    "violin",
    "whale",
    "zebra",
];

/// The tasks: how many keys a context hides, and how many numbers each of them has.
const HIDDEN: [(&str, usize, usize); 3] = [("single", 4, 1), ("multikey", 12, 1), ("multivalue", 4, 2)];
/// Tokens without a needle at the end of a context, at the least.
const TAIL: usize = 64;

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn sentence(&mut self) -> String {
        let (who, did, what, place) = (self.pick(&WHO), self.pick(&DID), self.pick(&WHAT), self.pick(&WHERE));
        format!(" The {} {who} {did} a {} {what} {place}.", self.pick(&HOW), self.pick(&HOW))
    }
}

/// Contexts of `length` tokens, one of each task that is here: `single`, `multikey` and `multivalue`. The same seed makes the
/// same set.
///
/// # Errors
/// [`Error::Argument`] for a length that has no room for the needles.
pub fn needles(tokenizer: &Tokenizer, length: usize, seed: u64) -> Result<EvalSet> {
    let mut contexts = Vec::new();
    for (task, keys, values) in HIDDEN {
        let mut random = Random(seed ^ ((contexts.len() as u64) << 32));
        contexts.push(hide(tokenizer, length, task, [keys, values], &mut random)?);
    }
    Ok(EvalSet { contexts })
}

/// A context that hides `values` numbers for each of `keys` keys, and a question for each key.
fn hide(
    tokenizer: &Tokenizer,
    length: usize,
    task: &'static str,
    [keys, values]: [usize; 2],
    random: &mut Random,
) -> Result<Context> {
    let mut names = KEYS.to_vec();
    while names.len() > keys {
        names.swap_remove(random.below(names.len()));
    }
    let numbers: Vec<Vec<String>> = names
        .iter()
        .map(|_| (0..values).map(|_| (10_000 + random.below(90_000)).to_string()).collect())
        .collect();
    let needle = |value: usize, key: usize| {
        tokenizer.encode(&format!(
            "\nOne of the special magic numbers for {} is: {}.\n",
            names[key], numbers[key][value]
        ))
    };
    // One value of every key after the other, so that those of a key are far apart.
    let places = (0..values).flat_map(|value| (0..keys).map(move |key| (value, key)));
    let needles = places.map(|(value, key)| needle(value, key)).collect::<Result<Vec<_>>>()?;
    let hidden: usize = needles.iter().map(Vec::len).sum();
    // As much text between any two needles as there are tokens left, less up to half of it.
    let gap = length.saturating_sub(hidden + TAIL) / (needles.len() + 1);
    if gap < TAIL / 4 {
        let least = hidden + TAIL + TAIL / 4 * (needles.len() + 1);
        return Err(Error::argument(
            "--lengths",
            format!("at least {least} tokens for `{task}`"),
            length.to_string(),
        ));
    }
    let mut tokens = tokenizer.encode("<|endoftext|>")?;
    for needle in &needles {
        let until = tokens.len() + gap - random.below(gap / 2);
        fill(tokenizer, &mut tokens, until, random)?;
        tokens.extend(needle);
    }
    fill(tokenizer, &mut tokens, length, random)?;
    let questions = (0..keys).map(|key| question(tokenizer, names[key], &numbers[key]));
    Ok(Context { task, index: 0, tokens, questions: questions.collect::<Result<_>>()? })
}

/// Adds sentences until there are so many tokens, of the last one only its beginning.
fn fill(tokenizer: &Tokenizer, tokens: &mut Vec<u32>, until: usize, random: &mut Random) -> Result<()> {
    while tokens.len() < until {
        tokens.extend(tokenizer.encode(&random.sentence())?);
    }
    tokens.truncate(until);
    Ok(())
}

/// Asks for all numbers of a key, in their order. Each is an item, with the space before it.
fn question(tokenizer: &Tokenizer, name: &str, numbers: &[String]) -> Result<Question> {
    let question = match numbers.len() {
        1 => format!(
            "\n\nQuestion: What is the special magic number for {name} mentioned in the provided text? The special magic number for {name} mentioned in the provided text is:"
        ),
        _ => format!(
            "\n\nQuestion: What are all the special magic numbers for {name} mentioned in the provided text? The special magic numbers for {name} mentioned in the provided text are, in order:"
        ),
    };
    let (mut answer, mut items) = (Vec::new(), Vec::new());
    for (item, number) in numbers.iter().enumerate() {
        for (text, item) in [(format!(" {number}"), Some(item)), (",".into(), None)] {
            let tokens = tokenizer.encode(&text)?;
            items.extend(tokens.iter().map(|_| item));
            answer.extend(tokens);
        }
    }
    answer.pop();
    items.pop();
    Ok(Question { question: tokenizer.encode(&question)?, answer, items })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    /// A token for each byte.
    fn bytes() -> Tokenizer {
        let mut tokens: Vec<String> = ByteLevel::alphabet().into_iter().map(String::from).collect();
        tokens.sort_unstable();
        tokens.push("<|endoftext|>".into());
        let mut kinds = vec![1; tokens.len()];
        kinds[tokens.len() - 1] = 3;
        Tokenizer::new(tokens, &kinds, &[], 0).unwrap()
    }

    #[test]
    fn every_answer_is_hidden_in_its_context() {
        let tokenizer = bytes();
        let set = needles(&tokenizer, 4096, 5).unwrap();
        assert_eq!(set, needles(&tokenizer, 4096, 5).unwrap());
        assert_ne!(set, needles(&tokenizer, 4096, 6).unwrap());
        assert_eq!(set.contexts.len(), HIDDEN.len());
        for (context, (task, keys, values)) in set.contexts.iter().zip(HIDDEN) {
            assert_eq!((context.task, context.tokens.len(), context.questions.len()), (task, 4096, keys));
            let text = tokenizer.decode(&context.tokens).unwrap();
            assert!(
                text[..text.len() - TAIL].contains("magic") && !text[text.len() - TAIL..].contains("magic")
            );
            for Question { question, answer, items } in &context.questions {
                let asked = tokenizer.decode(question).unwrap();
                let name = asked.split("for ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
                let answer_text = tokenizer.decode(answer).unwrap();
                let mut after = &text[..];
                for number in answer_text.split(',') {
                    let needle = format!("for {name} is:{number}.");
                    let at = after.find(&needle).unwrap_or_else(|| panic!("{task}: no `{needle}`"));
                    after = &after[at + needle.len()..];
                }
                assert_eq!(items.len(), answer.len());
                assert_eq!(items.iter().flatten().max(), Some(&(values - 1)));
                // Commas between the numbers belong to none.
                assert_eq!(items.iter().filter(|item| item.is_none()).count(), values - 1);
            }
        }
        let refused = needles(&tokenizer, 512, 5).unwrap_err().to_string();
        assert!(refused.contains("--lengths") && refused.ends_with("got 512"), "{refused}");
    }
}
